import Basics
import OAuth
import Synchronization
import Testing

@testable import BrokerCore

/// What callers wait for where a store is slow.
@Suite(.timeLimit(.minutes(1))) struct SlowStoreTests {
  /// A store that answers once, and keeps whoever asks again waiting until it is told to let go.
  private final class OneAnswer: Store {
    private struct State {
      var asked: [String] = []
      var waiting: [CheckedContinuation<Void, Never>] = []
      var isReleased = false
    }

    let values: MemoryStore
    let condition = StoreCondition(location: "", problem: nil)
    private let state = Mutex(State())

    init(_ values: MemoryStore = MemoryStore()) { self.values = values }

    var asked: [String] { state.withLock(\.asked) }

    func release() {
      let waiting = state.withLock { state in
        state.isReleased = true
        return state.waiting
      }
      for continuation in waiting { continuation.resume() }
    }

    private func answer(_ operation: String) async {
      await withCheckedContinuation { continuation in
        let isAnswered = state.withLock { state in
          state.asked.append(operation)
          if state.asked.count == 1 || state.isReleased { return true }
          state.waiting.append(continuation)
          return false
        }
        if isAnswered { continuation.resume() }
      }
    }

    func load(_ names: [StoreName]) async throws(StoreError) -> [[UInt8]?] {
      await answer("load")
      return try await values.load(names)
    }

    func save(_ entries: [StoreEntry], settling claim: StoreClaim?) async throws(StoreError) {
      await answer("save")
      try await values.save(entries, settling: claim)
    }

    func count(_ name: StoreName, adding count: Int, atLeast: Int, lifetime: Duration) async throws(StoreError) -> Int {
      await answer("count")
      return try await values.count(name, adding: count, atLeast: atLeast, lifetime: lifetime)
    }
    func remove(_ names: [StoreName]) async throws(StoreError) {}

    func claim(
      _ name: StoreName, for lease: Duration, loading names: [StoreName]
    ) async throws(StoreError) -> StoreAnswer {
      await answer("claim")
      return try await values.claim(name, for: lease, loading: names)
    }

    func renew(_ claim: StoreClaim, for lease: Duration) async throws(StoreError) -> Bool { true }
    func waitForChange(of name: StoreName, until deadline: Instant) async {}
    func close() async {}
  }

  private let key = TokenKey(client: "shared", grant: Grant(audience: "https://api/"))

  private func broker(_ store: any Store) -> (Broker, SharedTokens) {
    let minter = TrustingMinter { mintedToken("minted") }
    let shared = SharedTokens(store, minter: minter, log: .silent)
    let broker = Broker(
      requestTimeout: .seconds(10), minter: minter, shared: shared, health: Health(), log: .silent)
    return (broker, shared)
  }

  @Test("A cold request waits for one answer of the store, whether it has the token or not", arguments: [false, true])
  func oneRoundTrip(isStored: Bool) async throws {
    let store = OneAnswer()
    if isStored {
      let (other, shared) = broker(store.values)
      _ = try await other.token(key)
      await shared.close()
    }
    let (broker, shared) = broker(store)
    let token = try await broker.token(key)
    #expect(token.minted.isFromStore == isStored)
    #expect(store.asked.first == "claim")
    store.release()
    await shared.close()
    #expect(store.asked == ["claim", "save"])
  }
}
