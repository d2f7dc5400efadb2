import Basics
import Logging
import OAuth
import Synchronization
import Testing

@testable import BrokerCore

/// What a store is given back that may have lost it.
@Suite struct RestoreTests {
  /// A store in memory, which may be lost at the save of that number, and refuses others.
  private final class FailingStore: Store {
    private struct State {
      var values: [StoreName: [UInt8]] = [:]
      var loads: [Int] = []
      var saves = 0
      var problem: String?
    }

    let recoveries: AsyncStream<Void>
    let recovered: AsyncStream<Void>.Continuation
    private let state = Mutex(State())
    private let lost: Int?
    private let refused: Set<Int>

    init(lost: Int? = nil, refused: Set<Int> = []) {
      (recoveries, recovered) = AsyncStream<Void>.makeStream()
      (self.lost, self.refused) = (lost, refused)
    }

    /// How many names were asked for, each time.
    var loads: [Int] { state.withLock(\.loads) }
    var saves: Int { state.withLock(\.saves) }
    var values: [StoreName: [UInt8]] { state.withLock(\.values) }
    var condition: StoreCondition { StoreCondition(location: "", problem: state.withLock(\.problem)) }

    func load(_ names: [StoreName]) async throws(StoreError) -> [[UInt8]?] {
      state.withLock { state in
        state.loads.append(names.count)
        return names.map { state.values[$0] }
      }
    }

    func save(_ entries: [StoreEntry], settling claim: StoreClaim?) async throws(StoreError) {
      let isDone = state.withLock { state in
        state.saves += 1
        if state.saves == lost { state.problem = "lost" }
        if state.saves == lost || refused.contains(state.saves) { return false }
        for entry in entries { state.values[entry.name] = entry.value }
        return true
      }
      if !isDone { throw StoreError("SET was refused", isRefusal: true) }
    }

    func remove(_ names: [StoreName]) async throws(StoreError) {}

    func claim(
      _ name: StoreName, for lease: Duration, loading names: [StoreName]
    ) async throws(StoreError) -> StoreAnswer {
      StoreAnswer(.granted(StoreClaim(name: name, fence: 0)), names.map { _ in nil })
    }
    func renew(_ claim: StoreClaim, for lease: Duration) async throws(StoreError) -> Bool { true }
    func waitForChange(of name: StoreName, until deadline: Instant) async {}
    func close() async {}
  }

  private func shared(_ store: FailingStore) -> SharedTokens {
    let vault = Vault(secrets: [Secret("secret".utf8)], identity: [])
    return SharedTokens(store, minter: minter(vault), log: .silent)
  }

  private func minter(_ vault: Vault? = nil) -> StubMinter {
    StubMinter(vaults: vault.map { ["shared": $0] } ?? [:]) { [token = minted()] _, _ throws(TokenError) in token }
  }

  private func minted(_ name: String = "a.b.c", age: Double = 0) -> MintedToken {
    mintedToken(name, at: .now.advanced(by: .seconds(-age)))
  }

  private func token(
    _ number: Int, _ minted: MintedToken, client: UpstreamID = "shared", holder: SHA256Digest? = nil
  ) -> CachedToken {
    CachedToken(
      key: TokenKey(client: client, grant: Grant(audience: "https://\(number)/"), holder: holder), minted: minted,
      rules: .init(), inPlaceOf: nil, now: .now)
  }

  private func tokens(_ count: Int) -> [CachedToken] { (0..<count).map { token($0, minted()) } }

  @Test("All that is lost is given back, and looked for in parts")
  func all() async {
    let store = FailingStore()
    await shared(store).restore(tokens(70))
    #expect(store.loads == [32, 32, 6] && store.values.count == 70)
    await shared(store).restore(tokens(70))
    #expect(store.saves == 70)
  }

  @Test("Tokens of a client that shares nothing, and of a holder's credentials, are not given to a store")
  func unshared() async {
    let store = FailingStore()
    let own = [
      token(1, minted(), client: "other"), token(2, minted(), holder: SHA256Digest(of: Array("key".utf8).span)),
      token(3, minted()),
    ]
    await shared(store).restore(own)
    #expect(store.loads == [1] && store.values.count == 1)
  }

  @Test("An older token, or what is none, gives way; the same and a newer one stay")
  func ages() async throws {
    let store = FailingStore()
    let shared = shared(store)
    await shared.restore([token(1, minted("new"))])
    let new = store.values
    for older in [minted("old", age: 600), minted("new", age: 600)] {
      await shared.restore([token(1, older)])
      #expect(store.values == new)
    }
    await shared.restore([token(2, minted("old", age: 600))])
    await shared.restore([token(2, minted("new"))])
    #expect(store.saves == 3)
    let name = try #require(new.keys.first)
    try await store.save([StoreEntry(name: name, value: [1, 2, 3], lifetime: .seconds(9))], settling: nil)
    await shared.restore([token(1, minted("new"))])
    #expect(store.saves == 5 && store.values[name] != [1, 2, 3])
  }

  @Test("A value that is refused does not keep the others back; a store that is lost is left alone")
  func troubles() async {
    let refusing = FailingStore(refused: [2, 40])
    await shared(refusing).restore(tokens(100))
    #expect(refusing.saves == 100 && refusing.values.count == 98)
    let losing = FailingStore(lost: 40)
    await shared(losing).restore(tokens(100))
    #expect(losing.loads == [32, 32])
  }

  @Test("What a store refuses though it is within reach is its problem until it does it again")
  func refusals() async {
    let store = FailingStore(refused: [1])
    let shared = shared(store)
    await shared.restore(tokens(1))
    #expect(shared.figures.condition.problem == "SET was refused")
    #expect(shared.figures.operations.map { "\($0.name) \($0.isGood)" } == ["load true", "save false"])
    await shared.restore(tokens(1))
    #expect(shared.figures.condition.problem == nil && shared.figures.operations.allSatisfy(\.isGood))
  }

  @Test("Nothing of a store that is out of reach is good")
  func outOfReach() async {
    let store = FailingStore(lost: 2)
    let shared = shared(store)
    await shared.restore(tokens(2))
    #expect(shared.figures.operations.map(\.isGood) == [false, false])
  }

  @Test("A broker restores what it holds each time, until it is told to stop", .timeLimit(.minutes(1)))
  func tending() async throws {
    let store = FailingStore()
    let broker = Broker(
      requestTimeout: .seconds(10), minter: minter(), shared: shared(store), health: Health(), log: .silent)
    _ = try await broker.token(TokenKey(client: "shared", grant: Grant(audience: "https://api/")))
    let tending = Task { await broker.tendStore() }
    // One look was for the request.
    for count in 2...3 {
      store.recovered.yield()
      while store.loads.count < count { await Task.yield() }
    }
    tending.cancel()
    await tending.value
  }
}
