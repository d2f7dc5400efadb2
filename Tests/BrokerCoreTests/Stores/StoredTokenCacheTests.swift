import Basics
import OAuth
import Testing

@testable import BrokerCore

/// `TokenCache` with a store before the tenant.
@Suite struct StoredTokenCacheTests {
  private let start = Instant(nanoseconds: 1_000_000_000_000)
  private let key = TokenKey(client: "default", grant: Grant(audience: "https://api/"))
  private let other = TokenKey(client: "default", grant: Grant(audience: "https://other/"))
  private var cache = TokenCache(hasStore: true)

  private func at(_ seconds: Double) -> Instant { start.advanced(by: .seconds(seconds)) }

  private func token(_ name: String, lifetime: Double = 3600, at seconds: Double = 0, isStored: Bool = true)
    -> MintedToken
  {
    mintedToken(name, at: at(seconds), lifetime: lifetime, isFromStore: isStored)
  }

  private func say(_ actions: [TokenCache.Action]) -> [String] { actions.map(\.said) }

  private mutating func ask(
    _ waiter: UInt64, _ demand: Demand = Demand(), at seconds: Double, key: TokenKey? = nil
  ) -> [String] {
    say(cache.request(key ?? self.key, demand, waiter: waiter, deadline: at(seconds + 30), now: at(seconds)))
  }

  private mutating func find(_ token: MintedToken? = nil, _ failure: TokenError? = nil, at seconds: Double) -> [String]
  {
    say(cache.loaded(key, SharedFinding(token: token, failure: failure), now: at(seconds)))
  }

  private mutating func finish(_ result: Result<MintedToken, TokenError>, at seconds: Double) -> [String] {
    say(cache.fetched(key, result, now: at(seconds)))
  }

  /// Something else is asked of the tenant, which is asked for one thing at a time.
  private mutating func occupy() {
    var rules = TokenCache.Rules()
    rules.client.maxConcurrent = 1
    cache = TokenCache(rules: rules, hasStore: true)
    #expect(ask(99, at: 0, key: other) == ["fetch"])
  }

  /// The tenant has answered that.
  private mutating func free(at seconds: Double) -> [String] {
    let said = say(cache.fetched(other, .success(token("other", isStored: false)), now: at(seconds)))
    #expect(said.prefix(2) == ["publish other", "99=other"])
    return Array(said.dropFirst(2))
  }

  @Test("A request that can go out at once finds out with its claim what the store has, and asks for nothing before")
  mutating func atOnce() {
    #expect(ask(1, at: 0) == ["fetch"])
    #expect(ask(2, at: 0.1).isEmpty)
    #expect(finish(.success(token("stored", at: -600)), at: 0.2) == ["publish stored", "1=stored", "2=stored"])
    #expect(ask(3, at: 1) == ["3=stored"])
    #expect(cache.saved["default"] == 3)
    #expect(ask(4, Demand(freshness: .new), at: 60) == ["fetch"])
    #expect(finish(.success(token("new", at: 60.1, isStored: false)), at: 60.2) == ["publish new", "4=new"])
  }

  @Test("What was found in the store costs nothing, a token or a refusal: no mint, and no allowance of anybody")
  mutating func free() {
    var rules = TokenCache.Rules()
    (rules.client.mintsPerMinute, rules.refusalBurst) = (2, 1)
    cache = TokenCache(rules: rules, hasStore: true)
    var unknown = TokenError(cause: .unknownAudience, message: "no such API", retryAfter: .seconds(50))
    unknown.isFromStore = true
    for number in 0..<5 {
      let key = TokenKey(client: "default", grant: Grant(audience: "https://\(number)/"))
      let actions = cache.request(key, Demand(), waiter: 1, payer: .anyone, deadline: at(30), now: at(0))
      #expect(say(actions) == ["fetch"])
      let isToken = number % 2 == 0
      let found: Result<MintedToken, TokenError> = isToken ? .success(token("stored", at: -600)) : .failure(unknown)
      let said = say(cache.fetched(key, found, now: at(0)))
      #expect(said == (isToken ? ["publish stored", "1=stored"] : ["1=unknown_audience"]))
    }
  }

  @Test("Where a request would have to wait, the store is asked before, once for all; what it has serves them all")
  mutating func load() {
    occupy()
    #expect(ask(1, at: 0) == ["load"])
    #expect(ask(2, at: 0.1).isEmpty)
    #expect(find(token("stored", at: -600), at: 0.2) == ["publish stored", "1=stored", "2=stored"])
    #expect(ask(3, at: 1) == ["3=stored"])
    #expect(cache.saved["default"] == 3)
  }

  @Test("Where the store has nothing, or nothing that lives long enough, the tenant is asked")
  mutating func nothing() {
    occupy()
    #expect(ask(1, at: 0) == ["load"])
    #expect(find(at: 0.1).isEmpty)
    #expect(free(at: 0.1) == ["fetch"])
    #expect(finish(.success(token("new", at: 0.1, isStored: false)), at: 0.2) == ["publish new", "1=new"])

    occupy()
    #expect(ask(1, at: 0) == ["load"])
    #expect(find(token("dying", lifetime: 20), at: 19).isEmpty)
    #expect(free(at: 19) == ["fetch"])
  }

  @Test("A caller who wants a newer token than the store has gets one, and others do not wait for it")
  mutating func demands() {
    occupy()
    #expect(ask(1, Demand(minTTL: .seconds(3000)), at: 0) == ["load"])
    #expect(ask(2, at: 0).isEmpty)
    #expect(find(token("stored", at: -1000), at: 0.1) == ["publish stored", "2=stored"])
    #expect(free(at: 0.1) == ["fetch"])
    #expect(finish(.success(token("new", at: 0.2, isStored: false)), at: 0.3) == ["publish new", "1=new"])
  }

  @Test("A token of another broker that does not do for all who wait is kept, and the tenant is asked for the rest")
  mutating func takenOver() {
    _ = ask(1, Demand(minTTL: .seconds(3000)), at: 0)
    _ = ask(2, at: 0)
    #expect(finish(.success(token("stored", at: -1000)), at: 0.2) == ["publish stored", "2=stored", "fetch"])
  }

  @Test("What others were refused with is told to callers here, and the tenant is left alone for as long")
  mutating func failures() {
    var limit = TokenError(cause: .upstreamRateLimited, message: "429", retryAfter: .seconds(60))
    limit.isFromStore = true
    #expect(ask(1, at: 0) == ["fetch"])
    #expect(finish(.failure(limit), at: 0.1) == ["1=upstream_rate_limited"])
    #expect(ask(2, at: 1, key: other) == ["load"])
    #expect(say(cache.loaded(other, SharedFinding(), now: at(1.1))) == ["2=upstream_rate_limited"])
    #expect(ask(3, at: 1.5, key: other) == ["3=upstream_rate_limited"], "the store was asked just now")
    #expect(ask(4, at: 61, key: other) == ["fetch"])
  }

  @Test("Who waits for a turn is told at once of a limit that another broker has met")
  mutating func queued() {
    var limit = TokenError(cause: .upstreamRateLimited, message: "429", retryAfter: .seconds(60))
    limit.isFromStore = true
    occupy()
    #expect(ask(1, at: 0) == ["load"])
    #expect(find(at: 0.1).isEmpty)
    let said = say(cache.fetched(other, .failure(limit), now: at(0.2)))
    #expect(said == ["99=upstream_rate_limited", "1=upstream_rate_limited"])
  }

  @Test("In an outage the store is still looked into: another broker may have a token by now")
  mutating func outage() {
    _ = ask(1, at: 0)
    let refused = TokenError(cause: .audienceNotGranted, message: "no grant")
    #expect(finish(.failure(refused), at: 0.2) == ["1=audience_not_granted"])
    #expect(ask(2, at: 0.5) == ["2=audience_not_granted"])
    #expect(ask(3, at: 2) == ["load"])
    #expect(find(token("stored", at: 1), at: 2.1) == ["publish stored", "3=stored"])
  }

  @Test("A token that is due is replaced by the one that another broker has got, and that costs nothing")
  mutating func refresh() throws {
    _ = ask(1, at: 0)
    _ = finish(.success(token("old")), at: 0)
    // In use, so it is to be replaced in time.
    #expect(ask(2, at: 10) == ["2=old"])
    var due = try #require(cache.nextEvent)
    while say(cache.advance(now: due)) != ["load"] { due = try #require(cache.nextEvent) }
    let seconds = start.duration(to: due) / .seconds(1)
    #expect(find(token("new", at: seconds), at: seconds) == ["publish new"])
    #expect(ask(3, at: seconds + 1) == ["3=new"])
  }

  @Test("A store that puts back what was there before changes nothing")
  mutating func replay() {
    occupy()
    _ = ask(1, at: 0)
    _ = find(token("new", at: -10), at: 0)
    #expect(ask(2, Demand(freshness: .new), at: 60) == ["load"])
    #expect(find(token("old", at: -900), at: 60.1).isEmpty)
    #expect(ask(3, at: 60.2) == ["3=new"])
  }

  @Test("Those whose keys prove good by a token of the store no longer count among the waiters of unproven keys")
  mutating func unprovenWaiters() {
    var rules = TokenCache.Rules()
    rules.maxWaiters = 4
    cache = TokenCache(rules: rules, hasStore: true)
    for number in 0..<5 {
      let key = TokenKey(client: "default", grant: Grant(audience: "https://\(number)/"))
      #expect(ask(1, at: 0, key: key) == ["fetch"])
      let found = token("stored", at: -600)
      #expect(say(cache.fetched(key, .success(found), now: at(0.1))) == ["publish stored", "1=stored"])
    }
  }

  @Test("Whoever brings credentials of their own shares nothing")
  mutating func holders() {
    let own = TokenKey(client: "default", grant: key.grant, holder: SHA256Digest(of: Array("x".utf8).span))
    #expect(ask(1, at: 0, key: own) == ["fetch"])
  }

  @Test("A token that was taken over is no mint of the month's allotment")
  mutating func allotment() {
    var rules = TokenCache.Rules()
    (rules.client.monthlyMints, rules.client.monthlyReserve) = (2, 1)
    cache = TokenCache(rules: rules, hasStore: true)
    _ = ask(1, at: 0)
    _ = finish(.success(token("stored", at: -100)), at: 0.2)
    // Were it counted, the reserve would be reached, and nobody would get a newer one.
    #expect(ask(2, Demand(freshness: .new), at: 60) == ["fetch"])
  }
}
