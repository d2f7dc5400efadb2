import Clocks
import Logging
import OAuth
import Synchronization
import Testing

@testable import TokenBroker

/// What a store is given back that may have lost it.
@Suite struct RestoreTests {
  /// A store that has lost all, and plays a script.
  private final class LostStore: Store {
    let recoveries: AsyncStream<Void>
    let recovered: AsyncStream<Void>.Continuation
    private let state: Mutex<(outcomes: [Outcome], given: [Int], problem: String?)>

    enum Outcome {
      case ok, refused, lost
    }

    init(_ outcomes: Outcome...) {
      (recoveries, recovered) = AsyncStream<Void>.makeStream()
      state = Mutex((outcomes, [], nil))
    }

    /// How many entries it was given, each time.
    var given: [Int] { state.withLock(\.given) }
    var condition: StoreCondition { StoreCondition(location: "", problem: state.withLock(\.problem)) }

    func restore(_ entries: [StoreEntry]) async throws(StoreError) -> Int {
      let outcome = state.withLock { state in
        state.given.append(entries.count)
        let outcome = state.outcomes.isEmpty ? .ok : state.outcomes.removeFirst()
        if outcome == .lost { state.problem = "lost" }
        return outcome
      }
      if outcome != .ok { throw StoreError("") }
      return entries.count
    }

    func load(_ names: [StoreName]) async throws(StoreError) -> [[UInt8]?] { names.map { _ in nil } }
    func claim(
      _ name: StoreName, for lease: Duration, loading names: [StoreName]
    ) async throws(StoreError) -> StoreAnswer {
      StoreAnswer(.granted(StoreClaim(name: name, fence: 0)), names.map { _ in nil })
    }
    func renew(_ claim: StoreClaim, for lease: Duration) async throws(StoreError) -> Bool { true }
    func save(_ entries: [StoreEntry], settling claim: StoreClaim?) async throws(StoreError) {}
    func waitForChange(of name: StoreName, until deadline: Instant) async {}
    func close() async {}
  }

  private func shared(_ store: LostStore) -> SharedTokens {
    let vault = Vault(secrets: [Secret("secret".utf8)], identity: [])
    return SharedTokens(
      store, vault: { $0 == "shared" ? vault : nil }, log: Logger(label: "") { _ in SwiftLogNoOpLogHandler() }
    ) { _, _, _ throws(TokenError) in throw .timedOut }
  }

  private func minted() -> MintedToken {
    MintedToken(
      accessToken: AccessToken("a.b.c"), scope: nil, keyID: nil, mintedAt: .now,
      expiresAt: .now.advanced(by: .seconds(3600)), quota: [], upstreamRequestID: nil)
  }

  private func tokens(_ count: Int, client: ClientID = "shared", holder: KeyDigest? = nil) -> [CachedToken] {
    (0..<count).map { number in
      CachedToken(
        key: TokenKey(client: client, grant: Grant(audience: "https://\(number)/"), holder: holder), minted: minted(),
        rules: .init(), inPlaceOf: nil, now: .now)
    }
  }

  @Test("All that is shared is given back, in parts")
  func all() async {
    let store = LostStore()
    await shared(store).restore(tokens(70))
    #expect(store.given == [32, 32, 6])
  }

  @Test("What is nobody else's is not")
  func unshared() async {
    let store = LostStore()
    let own = tokens(3, client: "other") + tokens(3, holder: KeyDigest(of: Array("key".utf8).span)) + tokens(2)
    await shared(store).restore(own)
    #expect(store.given == [2])
  }

  @Test("A part that is refused does not keep the others back; a store that is lost is left alone")
  func troubles() async {
    let refusing = LostStore(.ok, .refused)
    await shared(refusing).restore(tokens(100))
    #expect(refusing.given == [32, 32, 32, 4])
    let losing = LostStore(.ok, .lost)
    await shared(losing).restore(tokens(100))
    #expect(losing.given == [32, 32])
  }

  @Test("A broker restores what it holds each time, until it is told to stop", .timeLimit(.minutes(1)))
  func tending() async throws {
    let store = LostStore()
    let broker = Broker(
      requestTimeout: .seconds(10), health: Health(), log: Logger(label: "") { _ in SwiftLogNoOpLogHandler() },
      shared: shared(store)
    ) { [minted = minted()] _, _, _, _ throws(TokenError) in minted }
    let tending = Task { await broker.tendStore() }
    for count in 1...2 {
      _ = try await broker.token(TokenKey(client: "shared", grant: Grant(audience: "https://\(count)/")))
      store.recovered.yield()
      while store.given.count < count { await Task.yield() }
    }
    #expect(store.given == [1, 2])
    tending.cancel()
    await tending.value
  }
}
