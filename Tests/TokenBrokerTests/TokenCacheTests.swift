import Clocks
import OAuth
import Testing

@testable import TokenBroker

@Suite struct TokenCacheTests {
  private let start = Instant.now
  private let key = TokenKey(client: "default", grant: Grant(audience: "https://api/"))
  private let unavailable = TokenError(code: .upstreamUnavailable, message: "down")

  private func at(_ seconds: Double) -> Instant { start.advanced(by: .seconds(seconds)) }

  private func minted(_ name: String, lifetime: Double, at seconds: Double = 0) -> MintedToken {
    MintedToken(
      accessToken: AccessToken(name), scope: nil, keyID: nil, mintedAt: at(seconds),
      expiresAt: at(seconds + lifetime), quota: [], upstreamRequestID: nil)
  }

  /// What a test wants to know of actions: `fetch`, `publish <token>`, `withdraw`, `<waiter>=<token or error>`.
  private func say(_ actions: [TokenCache.Action]) -> [String] {
    actions.map { action in
      switch action {
      case .fetch: "fetch"
      case .publish(let token): "publish \(token.minted.accessToken.value)"
      case .withdraw(let key): "withdraw \(key.grant.audience)"
      case .answer(let waiter, .success(let token)): "\(waiter)=\(token.minted.accessToken.value)"
      case .answer(let waiter, .failure(let error)): "\(waiter)=\(error.code.rawValue)"
      }
    }
  }

  private func ask(
    _ cache: inout TokenCache, _ waiter: UInt64, _ demand: Demand = Demand(), at seconds: Double, key: TokenKey? = nil
  ) -> [String] {
    say(cache.request(key ?? self.key, demand, waiter: waiter, deadline: at(seconds + 30), now: at(seconds)))
  }

  private func answer(
    _ cache: inout TokenCache, _ result: Result<MintedToken, TokenError>, at seconds: Double, key: TokenKey? = nil
  ) -> [String] {
    say(cache.fetched(key ?? self.key, result, now: at(seconds)))
  }

  @Test("However many wait, one request goes upstream, and its token answers all of them and the next")
  func singleFlight() {
    var cache = TokenCache()
    #expect(ask(&cache, 1, at: 0) == ["fetch"])
    for waiter in 2...1000 { #expect(ask(&cache, UInt64(waiter), at: 0.1).isEmpty) }
    let actions = answer(&cache, .success(minted("t", lifetime: 86400)), at: 1)
    #expect(actions == ["publish t"] + (1...1000).map { "\($0)=t" })
    #expect(ask(&cache, 1001, at: 2) == ["1001=t"])
    #expect(cache.nextDeadline == nil)
  }

  @Test("Keys differ by client, audience, scope and organization")
  func keys() {
    var cache = TokenCache()
    let keys = [
      TokenKey(client: "a", grant: Grant(audience: "x")), TokenKey(client: "b", grant: Grant(audience: "x")),
      TokenKey(client: "a", grant: Grant(audience: "x/")),
      TokenKey(client: "a", grant: Grant(audience: "x", scope: "s")),
      TokenKey(client: "a", grant: Grant(audience: "x", organization: "s")),
    ]
    for key in keys { #expect(ask(&cache, 1, at: 0, key: key) == ["fetch"]) }
    #expect(cache.count == keys.count)
  }

  @Test(
    "A token is served until minRemaining, or an eighth of a short life, and not a moment longer",
    arguments: [
      (86400.0, 30.0), (240.0, 30.0), (80.0, 10.0), (10.0, 1.25),
    ])
  func minRemaining(_ lifetime: Double, _ remaining: Double) {
    var cache = TokenCache()
    _ = ask(&cache, 1, at: 0)
    _ = answer(&cache, .success(minted("t", lifetime: lifetime)), at: 0)
    #expect(ask(&cache, 2, at: lifetime - remaining - 0.001) == ["2=t"])
    #expect(ask(&cache, 3, at: lifetime - remaining) == ["fetch"])
  }

  @Test("A failure answers everyone who waits, keeps nothing, and the next request asks again")
  func failure() {
    var cache = TokenCache()
    _ = ask(&cache, 1, at: 0)
    _ = ask(&cache, 2, at: 0)
    #expect(answer(&cache, .failure(unavailable), at: 1) == ["1=upstream_unavailable", "2=upstream_unavailable"])
    #expect(cache.count == 0)
    #expect(ask(&cache, 3, at: 2) == ["fetch"])
  }

  @Test("A token that is dead on arrival is neither kept nor served")
  func expiredOnArrival() {
    var cache = TokenCache()
    _ = ask(&cache, 1, at: 0)
    #expect(answer(&cache, .success(minted("t", lifetime: 10)), at: 20) == ["1=invalid_upstream_response"])
    #expect(cache.count == 0)
  }

  @Test("A waiter whose deadline passes is answered then; the fetch goes on for the others and the next")
  func deadlines() {
    var cache = TokenCache()
    _ = ask(&cache, 1, at: 0)
    _ = ask(&cache, 2, at: 10)
    #expect(cache.nextDeadline == at(30))
    #expect(say(cache.expireWaiters(now: at(29.9))).isEmpty)
    #expect(say(cache.expireWaiters(now: at(30))) == ["1=upstream_timeout"])
    #expect(ask(&cache, 3, at: 31).isEmpty)
    #expect(answer(&cache, .success(minted("t", lifetime: 3600, at: 31)), at: 31) == ["publish t", "2=t", "3=t"])
  }

  @Test("min_ttl asks for a new token when too little life is left, but never of one that is young")
  func minTTL() {
    var cache = TokenCache()
    _ = ask(&cache, 1, at: 0)
    _ = answer(&cache, .success(minted("t", lifetime: 1000)), at: 0)
    #expect(ask(&cache, 2, Demand(minTTL: .seconds(900)), at: 90) == ["2=t"])
    #expect(ask(&cache, 3, Demand(minTTL: .seconds(2000)), at: 29.9) == ["3=t"])
    #expect(ask(&cache, 4, Demand(minTTL: .seconds(900)), at: 101) == ["fetch"])
    #expect(ask(&cache, 5, at: 101) == ["5=t"], "others keep getting the current token meanwhile")
    #expect(answer(&cache, .failure(unavailable), at: 102) == ["4=upstream_unavailable"])
    #expect(ask(&cache, 6, at: 103) == ["6=t"], "a failed refresh leaves the current token")
  }

  @Test("no-cache asks for a new token, but not within minRefreshInterval, nor for a token already replaced")
  func noCache() {
    var cache = TokenCache()
    _ = ask(&cache, 1, at: 0)
    _ = answer(&cache, .success(minted("old", lifetime: 1000)), at: 0)
    let rejected = Demand(freshness: .newUnlessReplaced(rejected: AccessToken("old").sha256))
    #expect(ask(&cache, 2, Demand(freshness: .new), at: 29.9) == ["2=old"])
    #expect(ask(&cache, 3, rejected, at: 31) == ["fetch"])
    #expect(ask(&cache, 4, Demand(freshness: .new), at: 31).isEmpty)
    #expect(
      answer(&cache, .success(minted("new", lifetime: 1000, at: 32)), at: 32) == ["publish new", "3=new", "4=new"])
    #expect(ask(&cache, 5, rejected, at: 90) == ["5=new"])
  }

  @Test("A passing fault is kept from who asked for a newer token; a refusal, or too little life, is not")
  func failedRefresh() {
    let refused = TokenError(code: .audienceNotGranted, message: "no grant")
    for (error, answer) in [(unavailable, "2=t"), (refused, "2=audience_not_granted")] {
      var cache = TokenCache()
      _ = ask(&cache, 1, at: 0)
      _ = self.answer(&cache, .success(minted("t", lifetime: 1000)), at: 0)
      #expect(ask(&cache, 2, Demand(freshness: .new), at: 40) == ["fetch"])
      #expect(ask(&cache, 3, Demand(minTTL: .seconds(970)), at: 40).isEmpty)
      #expect(self.answer(&cache, .failure(error), at: 41) == [answer, "3=\(error.code.rawValue)"])
    }
  }

  @Test("Over the limit the tokens used longest ago go, and those being fetched stay")
  func eviction() {
    var rules = TokenCache.Rules()
    rules.maxEntries = 32
    var cache = TokenCache(rules: rules)
    let keys = (0...32).map { TokenKey(client: "default", grant: Grant(audience: "https://\($0)/")) }
    for (index, key) in keys.dropLast().enumerated() {
      _ = ask(&cache, 1, at: Double(index), key: key)
      _ = answer(&cache, .success(minted("t", lifetime: 86400)), at: Double(index), key: key)
    }
    #expect(ask(&cache, 2, at: 100, key: keys[0]) == ["2=t"])
    _ = ask(&cache, 3, at: 101, key: keys[32])
    let actions = answer(&cache, .success(minted("t", lifetime: 86400)), at: 101, key: keys[32])
    #expect(actions.filter { $0.hasPrefix("withdraw") } == ["withdraw https://1/", "withdraw https://2/"])
    #expect(cache.count == 31)
  }

  @Test("Too many waiters are told so at once, and hits are served all the same")
  func overload() {
    var rules = TokenCache.Rules()
    rules.maxWaiters = 2
    var cache = TokenCache(rules: rules)
    let other = TokenKey(client: "default", grant: Grant(audience: "other"))
    _ = ask(&cache, 1, at: 0)
    _ = answer(&cache, .success(minted("t", lifetime: 1000)), at: 0)
    _ = ask(&cache, 2, at: 1, key: other)
    _ = ask(&cache, 3, at: 1, key: other)
    #expect(ask(&cache, 4, at: 1, key: other) == ["4=overloaded"])
    #expect(ask(&cache, 5, at: 1) == ["5=t"])
    _ = answer(&cache, .failure(unavailable), at: 2, key: other)
    #expect(ask(&cache, 6, at: 3, key: other) == ["fetch"])
  }

  @Test("An answer nobody waits for changes nothing")
  func unasked() {
    var cache = TokenCache()
    #expect(answer(&cache, .success(minted("t", lifetime: 1000)), at: 0).isEmpty)
    #expect(cache.count == 0)
  }
}
