import Basics
import OAuth
import Synchronization
import Testing

@testable import BrokerCore

/// A month's allotment that the brokers of a fleet share.
@Suite(.timeLimit(.minutes(1))) struct FleetBudgetTests {
  private let store = MemoryStore()

  private func broker(client: UpstreamID = "shared", limit: Int? = 10) -> Broker {
    let names = Mutex(0)
    let minter = TrustingMinter {
      mintedToken("\(names.withLock { $0 += 1; return $0 })", at: .now.advanced(by: .seconds(-60)))
    }
    var rules = TokenCache.Rules()
    (rules.client.monthlyMints, rules.client.monthlyReserve) = (limit, 2)
    return Broker(
      rules: rules, requestTimeout: .seconds(10), minter: minter,
      shared: SharedTokens(store, minter: minter, log: .silent), health: Health(), log: .silent)
  }

  /// Has the broker mint tokens for audiences that nobody has asked for, and tell of it.
  private func mint(_ count: Int, _ broker: Broker, _ audience: String, client: UpstreamID = "shared") async throws {
    for number in 0..<count {
      _ = try await broker.token(TokenKey(client: client, grant: Grant(audience: "\(audience)\(number)")))
    }
    await broker.tellMints()
  }

  private func budget(_ broker: Broker) async -> ClientStatus.Budget? {
    await broker.shareMints(of: "shared")
    await broker.tellMints()
    return await broker.figures.budgets["shared"]
  }

  @Test("All brokers that share a store go by what all have minted, a new one, too")
  func together() async throws {
    let (one, other) = (broker(), broker())
    try await mint(3, one, "a")
    try await mint(2, other, "b")
    #expect(await budget(one)?.used == 5)
    #expect(await budget(other)?.used == 5)
    let next = broker()
    try await mint(1, next, "a")
    let budget = await budget(next)
    #expect(budget?.used == 5 && budget?.isOfFleet == true, "what was taken over is no mint")
  }

  @Test("The reserve is the fleet's: a broker that has minted little gives nobody a newer token when it is reached")
  func reserve() async throws {
    let (one, other) = (broker(), broker())
    try await mint(1, other, "own")
    try await mint(7, one, "a")
    _ = await budget(other)
    let key = TokenKey(client: "shared", grant: Grant(audience: "own0"))
    let held = try await other.token(key)
    #expect(try await other.token(key, Demand(freshness: .new)) === held)
    try await mint(3, other, "new")
    #expect(await budget(other)?.used == 11, "whoever has no token still gets one")
  }

  @Test("A count that the store has lost is made good by whoever knows it")
  func loss() async throws {
    let (one, other) = (broker(), broker())
    try await mint(3, one, "a")
    try await mint(1, other, "b")
    #expect(store.loseCounts() == [4])
    #expect(await budget(one)?.used == 3, "it has not heard of the other's since")
    #expect(await budget(other)?.used == 4)
    #expect(await budget(one)?.used == 4)
  }

  @Test("Without an allotment nothing is counted in the store")
  func none() async throws {
    let broker = broker(limit: nil)
    try await mint(2, broker, "a")
    #expect(store.loseCounts().isEmpty)
  }

  @Test("When a broker ends, the others know of all that it has minted")
  func end() async throws {
    let broker = broker()
    let tending = Task { await broker.tendBudgets() }
    for number in 0..<4 {
      _ = try await broker.token(TokenKey(client: "shared", grant: Grant(audience: "\(number)")))
    }
    tending.cancel()
    await tending.value
    #expect(store.loseCounts() == [4])
  }
}
