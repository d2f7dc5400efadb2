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
      var claims = 0
      var removed: Set<StoreName> = []
      var problem: String?
      var refusals: [StoreOperation: String] = [:]
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
    var claims: Int { state.withLock(\.claims) }
    var removed: Set<StoreName> { state.withLock(\.removed) }
    var condition: StoreCondition {
      let (problem, refusals) = state.withLock { ($0.problem, $0.refusals) }
      return StoreCondition(location: "", problem: problem, refusals: refusals)
    }

    func refuse(_ operations: StoreOperation...) {
      state.withLock { state in state.refusals = Dictionary(uniqueKeysWithValues: operations.map { ($0, "no") }) }
    }

    func isClaimable(_ name: StoreName) -> Bool { condition.can(.claim) }

    /// Loses the values whose names `isLost` picks.
    func lose(_ isLost: (StoreName) -> Bool = { _ in true }) {
      state.withLock { state in state.values = state.values.filter { !isLost($0.key) } }
    }

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

    func count(_ name: StoreName, adding count: Int, atLeast: Int, lifetime: Duration) async throws(StoreError) -> Int {
      atLeast + count
    }

    func remove(_ names: [StoreName]) async throws(StoreError) {
      state.withLock { $0.removed.formUnion(names) }
      lose(names.contains)
    }

    func claim(
      _ name: StoreName, for lease: Duration, loading names: [StoreName]
    ) async throws(StoreError) -> StoreAnswer {
      state.withLock { $0.claims += 1 }
      return StoreAnswer(.granted(StoreClaim(name: name, fence: 0)), names.map { _ in nil })
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

  @Test("A value that is refused does not keep the others back; a store that takes none, or is lost, is left alone")
  func troubles() async {
    let refusing = FailingStore(refused: [2, 40])
    await shared(refusing).restore(tokens(100))
    #expect(refusing.saves == 100 && refusing.values.count == 98)
    let full = FailingStore(refused: Set(1...100))
    await shared(full).restore(tokens(100))
    #expect(full.saves == 3)
    let losing = FailingStore(lost: 40)
    await shared(losing).restore(tokens(100))
    #expect(losing.loads == [32, 32])
  }

  @Test("A broker restores what it holds each time, until it is told to stop", .timeLimit(.minutes(1)))
  func tending() async throws {
    let store = FailingStore()
    let broker = Broker(
      requestTimeout: .seconds(10), minter: minter(), shared: shared(store), health: Health(), log: .silent)
    _ = try await broker.token(TokenKey(client: "shared", grant: Grant(audience: "https://api/")))
    let tending = Task { await broker.tendStore() }
    for count in 1...2 {
      store.recovered.yield()
      while store.loads.count < count { await Task.yield() }
    }
    tending.cancel()
    await tending.value
  }

  // MARK: Losses that nobody tells of

  /// Runs a broker that holds `count` tokens, all of which the store has.
  private func withTokens(
    _ count: Int, in store: FailingStore = FailingStore(), _ body: (Broker, FailingStore) async throws -> Void
  ) async throws {
    let vault = Vault(secrets: [Secret("secret".utf8)], identity: [])
    let broker = Broker(
      requestTimeout: .seconds(10), minter: minter(vault), shared: shared(store), health: Health(), log: .silent)
    for number in 0..<count {
      _ = try await broker.token(TokenKey(client: "shared", grant: Grant(audience: "https://\(number)/")))
    }
    while store.values.count < count { await Task.yield() }
    try await body(broker, store)
  }

  @Test("A store that was wiped is given back all at the next look")
  func wiped() async throws {
    try await withTokens(70) { broker, store in
      await broker.lookForLosses()
      #expect(store.saves == 70)
      store.lose()
      await broker.lookForLosses()
      #expect(store.values.count == 70)
    }
  }

  @Test("A single value that is lost is found once each token was looked for, a few at a time")
  func single() async throws {
    try await withTokens(70) { broker, store in
      let name = try #require(store.values.keys.first)
      store.lose { $0 == name }
      let before = store.loads.count
      for _ in 0..<3 { await broker.lookForLosses() }
      #expect(store.values.count == 70 && store.loads[before] == 32)
    }
  }

  @Test("A store that loses again soon is given back what was looked for, and not all each time")
  func full() async throws {
    try await withTokens(70) { broker, store in
      for expected in [70, 32] {
        store.lose()
        await broker.lookForLosses()
        #expect(store.values.count == expected)
      }
    }
  }

  @Test("Nothing is looked for where nothing is held, or nothing can be looked for")
  func idle() async throws {
    try await withTokens(0) { broker, store in
      await broker.lookForLosses()
      #expect(store.loads.isEmpty)
    }
    try await withTokens(1) { broker, store in
      store.refuse(.load)
      store.lose()
      let before = store.loads.count
      await broker.lookForLosses()
      #expect(store.loads.count == before && store.values.isEmpty)
    }
  }

  @Test("What one broker throws away another does not give back, until there is a newer one")
  func purged() async throws {
    try await withTokens(1) { broker, store in
      let other = shared(store)
      let key = TokenKey(client: "shared", grant: Grant(audience: "https://0/"))
      #expect(await other.remove([(key, holding: nil)], younger: .zero) == true)
      let marked = store.values
      await broker.lookForLosses()
      #expect(store.values == marked && marked.count == 1)
      let found = await other.load(key)
      #expect(found.token == nil && found.failure == nil && other.figures.ignored == 0)
      await other.restore([token(0, mintedToken("new", at: .now.advanced(by: .seconds(1))))])
      #expect(store.values != marked)
    }
  }

  @Test("While a token is thrown away its place is never empty, or others would give it back")
  func neverEmpty() async throws {
    try await withTokens(1) { _, store in
      let names = Set(store.values.keys)
      let key = TokenKey(client: "shared", grant: Grant(audience: "https://0/"))
      #expect(await shared(store).remove([(key, holding: nil)], younger: .zero) == true)
      #expect(store.removed.isDisjoint(with: names) && !store.removed.isEmpty)
    }
  }

  @Test("Where no word of it can be left, what is thrown away is taken out, and it is said that it may come back")
  func unmarked() async throws {
    try await withTokens(1, in: FailingStore(refused: [2])) { _, store in
      let key = TokenKey(client: "shared", grant: Grant(audience: "https://0/"))
      #expect(await shared(store).remove([(key, holding: nil)], younger: .zero) == false)
      #expect(store.values.isEmpty)
    }
  }

  // MARK: Refusals

  @Test("Where a claim could not be given up none is made, and what is there is taken all the same")
  func unclaimed() async throws {
    let store = FailingStore()
    let shared = shared(store)
    func fetch() async throws -> MintedToken {
      try await shared.fetch(
        TokenKey(client: "shared", grant: Grant(audience: "https://0/")), holding: nil, minRemaining: .seconds(30),
        deadline: .now.advanced(by: .seconds(60))
      ) { () async throws(TokenError) in minted() }
    }
    store.refuse(.claim)
    _ = try await fetch()
    #expect(store.claims == 0 && store.loads == [3])
    store.refuse()
    _ = try await fetch()
    #expect(store.claims == 1)
  }
}
