import Basics
import OAuth
import Testing

@testable import BrokerCore

@Suite struct TokenCacheTests {
  private let start = Instant.now
  private let key = TokenKey(client: "default", grant: Grant(audience: "https://api/"))
  private let unavailable = TokenError(cause: .upstreamUnavailable, message: "down")

  private func at(_ seconds: Double) -> Instant { start.advanced(by: .seconds(seconds)) }

  private func minted(_ name: String, lifetime: Double, at seconds: Double = 0) -> MintedToken {
    mintedToken(name, at: at(seconds), lifetime: lifetime)
  }

  private func say(_ actions: [TokenCache.Action]) -> [String] { actions.map(\.said) }

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

  /// Lets time pass until something is fetched; nil: nothing will be.
  private func nextFetch(_ cache: inout TokenCache) -> Instant? {
    while let next = cache.nextEvent {
      if say(cache.advance(now: next)) == ["fetch"] { return next }
    }
    return nil
  }

  @Test("However many wait, one request goes upstream, and its token answers all of them and the next")
  func singleFlight() {
    var cache = TokenCache()
    #expect(ask(&cache, 1, at: 0) == ["fetch"])
    for waiter in 2...1000 { #expect(ask(&cache, UInt64(waiter), at: 0.1).isEmpty) }
    let actions = answer(&cache, .success(minted("t", lifetime: 86400)), at: 1)
    #expect(actions == ["publish t"] + (1...1000).map { "\($0)=t" })
    #expect(ask(&cache, 1001, at: 2) == ["1001=t"])
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

  @Test("A failure answers everyone who waits, and those who ask while it is remembered; then one asks again")
  func failure() {
    var cache = TokenCache()
    _ = ask(&cache, 1, at: 0)
    _ = ask(&cache, 2, at: 0)
    #expect(answer(&cache, .failure(unavailable), at: 1) == ["1=upstream_unavailable", "2=upstream_unavailable"])
    #expect(ask(&cache, 3, at: 1.01) == ["3=upstream_unavailable"])
    #expect(ask(&cache, 4, at: 1.26) == ["fetch"])
  }

  @Test("A definite refusal is remembered for a minute, then for two, up to ten, and forgotten when it is long past")
  func refusals() {
    let refused = TokenError(cause: .audienceNotGranted, message: "no grant")
    var cache = TokenCache()
    var time = 0.0
    for minutes in [1.0, 2, 4, 8, 10, 10] {
      #expect(ask(&cache, 1, at: time) == ["fetch"])
      #expect(answer(&cache, .failure(refused), at: time) == ["1=audience_not_granted"])
      #expect(ask(&cache, 2, at: time + 60 * minutes - 0.1) == ["2=audience_not_granted"])
      time += 60 * minutes
    }
    _ = cache.advance(now: at(time + 601))
    #expect(cache.count == 0)
  }

  @Test("What a caller is told to wait is what is left of the time")
  func retryAfter() throws {
    var cache = TokenCache()
    let limited = TokenError(cause: .upstreamRateLimited, message: "429", retryAfter: .seconds(30))
    _ = ask(&cache, 1, at: 0)
    _ = answer(&cache, .failure(limited), at: 0)
    let actions = cache.request(key, Demand(), waiter: 2, deadline: at(40), now: at(12))
    guard case .answer(2, .failure(let error))? = actions.first else { return #expect(Bool(false), "\(say(actions))") }
    #expect(error.retryAfter == .seconds(18))
  }

  @Test("A limit of the tenant stops all of a client's keys; then one probe goes out, and the rest follow it")
  func limit() {
    var cache = TokenCache()
    let keys = (0..<20).map { TokenKey(client: "default", grant: Grant(audience: "https://\($0)/")) }
    let limited = TokenError(cause: .upstreamRateLimited, message: "429", retryAfter: .seconds(30))
    _ = ask(&cache, 1, at: 0, key: keys[0])
    _ = answer(&cache, .failure(limited), at: 0, key: keys[0])
    for key in keys { #expect(ask(&cache, 2, at: 29.9, key: key) == ["2=upstream_rate_limited"]) }
    #expect(
      ask(&cache, 3, at: 1, key: TokenKey(client: "other", grant: Grant(audience: "x"))) == ["fetch"], "another client")
    #expect(ask(&cache, 4, at: 30, key: keys[0]) == ["fetch"], "the probe")
    for (index, key) in keys.enumerated().dropFirst() {
      #expect(ask(&cache, UInt64(100 + index), at: 30.1, key: key).isEmpty)
    }
    let actions = answer(&cache, .success(minted("t", lifetime: 3600, at: 30)), at: 31, key: keys[0])
    #expect(actions.filter { $0 == "fetch" }.count == 16, "half of what may be in flight, for keys never seen before")
  }

  @Test("Who waits for a turn when the tenant shuts its door is told at once")
  func shutOut() {
    var rules = TokenCache.Rules()
    rules.client.maxConcurrent = 1
    var cache = TokenCache(rules: rules)
    let other = TokenKey(client: "default", grant: Grant(audience: "other"))
    _ = ask(&cache, 1, at: 0)
    #expect(ask(&cache, 2, at: 0, key: other).isEmpty)
    let refused = TokenError(cause: .brokerMisconfigured, message: "401")
    #expect(answer(&cache, .failure(refused), at: 1) == ["1=broker_misconfigured", "2=broker_misconfigured"])
    #expect(ask(&cache, 3, at: 30) == ["3=broker_misconfigured"])
    _ = cache.credentialsChanged(client: "default", now: at(31))
    #expect(ask(&cache, 4, at: 31) == ["fetch"], "other credentials are tried at once")
  }

  @Test("A refusal of credentials that have been replaced is told to nobody, and asked about again with the new ones")
  func outdatedRefusal() {
    var cache = TokenCache()
    let (late, other) = (
      TokenKey(client: "default", grant: Grant(audience: "late")),
      TokenKey(client: "default", grant: Grant(audience: "other"))
    )
    let refused = TokenError(cause: .brokerMisconfigured, message: "401")
    #expect(ask(&cache, 1, at: 0) == ["fetch"] && ask(&cache, 2, at: 0, key: late) == ["fetch"])
    _ = cache.credentialsChanged(client: "default", now: at(1))
    #expect(answer(&cache, .failure(refused), at: 2, key: late) == ["fetch"])
    #expect(ask(&cache, 3, at: 2, key: other) == ["fetch"], "the gate is open")
    #expect(answer(&cache, .success(minted("t", lifetime: 60, at: 3)), at: 3, key: late) == ["publish t", "2=t"])
    #expect(answer(&cache, .failure(refused), at: 4) == ["fetch"])
    #expect(answer(&cache, .failure(refused), at: 5) == ["1=broker_misconfigured"], "the new ones are refused too")
  }

  @Test("Who waits for an answer to new credentials when the tenant shuts its door is told at once")
  func outdatedRefusalAtAShutDoor() {
    var cache = TokenCache()
    let other = TokenKey(client: "default", grant: Grant(audience: "other"))
    _ = [ask(&cache, 1, at: 0), ask(&cache, 2, at: 0, key: other)]
    _ = cache.credentialsChanged(client: "default", now: at(1))
    let limited = TokenError(cause: .upstreamRateLimited, message: "429", retryAfter: .seconds(60))
    #expect(answer(&cache, .failure(limited), at: 2, key: other) == ["2=upstream_rate_limited"])
    let refused = TokenError(cause: .brokerMisconfigured, message: "401")
    #expect(answer(&cache, .failure(refused), at: 3) == ["1=upstream_rate_limited"])
  }

  @Test(
    "While the tenant's door is shut, late answers of another kind do not open it earlier",
    arguments: [TokenError.Cause.upstreamTimeout, .upstreamUnavailable, .upstreamRateLimited, .unknownAudience])
  func lateAnswers(_ code: TokenError.Cause) {
    var cache = TokenCache()
    let late = TokenKey(client: "default", grant: Grant(audience: "late"))
    #expect(ask(&cache, 1, at: 0) == ["fetch"])
    #expect(ask(&cache, 2, at: 0, key: late) == ["fetch"])
    let refused = TokenError(cause: .brokerMisconfigured, message: "401")
    #expect(answer(&cache, .failure(refused), at: 1) == ["1=broker_misconfigured"])
    _ = answer(&cache, .failure(TokenError(cause: code, message: "late")), at: 2, key: late)
    #expect(ask(&cache, 3, at: 60.9) == ["3=broker_misconfigured"])
    #expect(ask(&cache, 4, at: 61) == ["fetch"])
  }

  @Test(
    "While one request tries whether the door is open, late answers let no second one out",
    arguments: [TokenError.Cause.upstreamRateLimited, .unknownAudience, .tokenValidationFailed])
  func oneProbe(_ code: TokenError.Cause) {
    var cache = TokenCache()
    let late = TokenKey(client: "default", grant: Grant(audience: "late"))
    let other = TokenKey(client: "default", grant: Grant(audience: "other"))
    _ = ask(&cache, 1, at: 0)
    _ = ask(&cache, 2, at: 0, key: late)
    _ = answer(&cache, .failure(TokenError(cause: .brokerMisconfigured, message: "401")), at: 1)
    #expect(ask(&cache, 3, at: 61) == ["fetch"])
    _ = answer(&cache, .failure(TokenError(cause: code, message: "late")), at: 62, key: late)
    #expect(!ask(&cache, 4, at: 62.5, key: other).contains("fetch"))
    #expect(answer(&cache, .success(minted("t", lifetime: 600)), at: 63).contains("3=t"))
  }

  @Test("A token in use is replaced before its end, in the background; one that is not, is not")
  func refreshAhead() throws {
    for isUsed in [true, false] {
      var cache = TokenCache()
      _ = ask(&cache, 1, at: 0)
      _ = answer(&cache, .success(minted("first", lifetime: 86400)), at: 0)
      let first = try #require(nextFetch(&cache), "it was asked for when it was minted")
      let ahead = 86400 - Double((first.nanoseconds - start.nanoseconds) / 1_000_000_000)
      #expect((3600...4320).contains(ahead), "an hour, and up to a fifth of that")
      let minted = mintedToken("second", at: first, lifetime: 86400)
      #expect(say(cache.fetched(key, .success(minted), now: first)) == ["publish second"])
      if isUsed { _ = cache.request(key, Demand(), waiter: 2, deadline: first, now: first.advanced(by: .seconds(60))) }
      #expect((nextFetch(&cache) != nil) == isUsed)
    }
  }

  @Test("A token that comes into use when it was due already is replaced then")
  func lateUse() throws {
    var cache = TokenCache()
    _ = ask(&cache, 1, at: 0)
    _ = answer(&cache, .success(minted("first", lifetime: 1000)), at: 0)
    let due = try #require(nextFetch(&cache))
    let second = mintedToken("second", at: due, lifetime: 1000)
    guard case .publish(let token)? = cache.fetched(key, .success(second), now: due).first else {
      return #expect(Bool(false), "not published")
    }
    let use = token.refreshAt.advanced(by: .seconds(5))
    #expect(say(cache.advance(now: use)).isEmpty)
    token.markUsed(at: use)
    #expect(token.isFirstUseWhenDue())
    #expect(!token.isFirstUseWhenDue())
    #expect(say(cache.used(key, now: use)) == ["fetch"])
  }

  @Test("A failing refresh is tried again, unseen, until the token can be served no longer")
  func failingRefresh() throws {
    var cache = TokenCache()
    _ = ask(&cache, 1, at: 0)
    _ = answer(&cache, .success(minted("t", lifetime: 1000)), at: 0)
    var tries = 0
    while let next = cache.nextEvent, next < at(970) {
      if say(cache.advance(now: next)) == ["fetch"] {
        tries += 1
        #expect(say(cache.fetched(key, .failure(unavailable), now: next)).isEmpty)
      }
      let asked = cache.request(key, Demand(), waiter: 2, deadline: next.advanced(by: .seconds(30)), now: next)
      #expect(say(asked) == ["2=t"])
    }
    #expect((5...40).contains(tries), "\(tries)")
    #expect(say(cache.advance(now: at(970))).contains("withdraw https://api/"))
  }

  @Test("Refreshing starts well within the life of a token, however short, and the same for everyone who holds it")
  func refreshTimes() {
    for lifetime in [1.0, 10, 60, 600, 3600, 86400, 2_592_000] {
      for name in ["a", "b", "c"] {
        let token = CachedToken(
          key: key, minted: minted(name, lifetime: lifetime), rules: .init(), inPlaceOf: nil, now: start)
        #expect(token.refreshAt >= at(lifetime * 0.6))
        #expect(token.refreshAt < token.servableUntil)
        let again = CachedToken(
          key: key, minted: minted(name, lifetime: lifetime), rules: .init(), inPlaceOf: nil, now: at(lifetime / 2))
        #expect(again.refreshAt == token.refreshAt)
      }
    }
  }

  @Test("When the key that signed a token is revoked, the token goes; newer ones and others stay")
  func revokedKeys() {
    var cache = TokenCache()
    _ = ask(&cache, 1, at: 0)
    _ = answer(&cache, .success(mintedToken(at: at(0), keyID: "old")), at: 0)
    #expect(say(cache.keySetChanged(["old", "new"], client: "default", asked: at(10), now: at(10))).isEmpty)
    #expect(say(cache.keySetChanged(["new"], client: "other", asked: at(10), now: at(10))).isEmpty)
    #expect(say(cache.keySetChanged(["new"], client: "default", asked: at(-1), now: at(10))).isEmpty, "older than it")
    #expect(
      say(cache.keySetChanged(["new"], client: "default", asked: at(10), now: at(10))) == ["withdraw https://api/"])
    #expect(ask(&cache, 2, at: 11) == ["fetch"])
  }

  @Test("Audiences made up by the thousand take half of what may be in flight, and known ones go first")
  func unprovenKeys() {
    var rules = TokenCache.Rules()
    rules.client.maxConcurrent = 4
    var cache = TokenCache(rules: rules)
    _ = ask(&cache, 1, at: 0)
    _ = answer(&cache, .success(minted("t", lifetime: 100)), at: 0)
    var started = 0
    for number in 0..<1000 {
      let unproven = TokenKey(client: "default", grant: Grant(audience: "made up \(number)"))
      started += ask(&cache, UInt64(10 + number), at: 99, key: unproven).filter { $0 == "fetch" }.count
    }
    #expect(started == 2)
    #expect(ask(&cache, 2, at: 99).contains("fetch"), "the known key does not wait behind them")
  }

  @Test("At the reserve of the month's allotment nobody gets a token just to have a newer one")
  func budget() {
    var rules = TokenCache.Rules()
    rules.client.monthlyMints = 10
    rules.client.monthlyReserve = 9
    var cache = TokenCache(rules: rules)
    cache.enter(month: 1)
    _ = ask(&cache, 1, at: 0)
    _ = answer(&cache, .success(minted("t", lifetime: 1000)), at: 0)
    #expect(ask(&cache, 2, Demand(freshness: .new), at: 60) == ["2=t"])
    cache.enter(month: 2)
    #expect(ask(&cache, 3, Demand(freshness: .new), at: 60) == ["fetch"])
  }

  @Test("A token that is dead on arrival is neither kept nor served")
  func expiredOnArrival() {
    var cache = TokenCache()
    _ = ask(&cache, 1, at: 0)
    #expect(answer(&cache, .success(minted("t", lifetime: 10)), at: 20) == ["1=invalid_upstream_response"])
    #expect(ask(&cache, 2, at: 21) == ["2=invalid_upstream_response"])
  }

  @Test("A waiter whose deadline passes is answered then; the fetch goes on for the others and the next")
  func deadlines() {
    var cache = TokenCache()
    _ = ask(&cache, 1, at: 0)
    _ = ask(&cache, 2, at: 10)
    #expect(cache.nextEvent == at(30))
    #expect(say(cache.advance(now: at(29.9))).isEmpty)
    #expect(say(cache.advance(now: at(30))) == ["1=upstream_timeout"])
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

  @Test("A min_ttl that no token of the key has is not asked for again, and the current token is answered")
  func minTTLBeyondReach() {
    var cache = TokenCache()
    let demand = Demand(minTTL: .seconds(2000))
    #expect(ask(&cache, 1, demand, at: 0) == ["fetch"])
    #expect(answer(&cache, .success(minted("t", lifetime: 1000)), at: 0) == ["publish t", "1=t"])
    for seconds in stride(from: 1.0, to: 900, by: 50) {
      #expect(ask(&cache, 2, demand, at: seconds) == ["2=t"])
      #expect(ask(&cache, 2, Demand(minTTL: .seconds(1000)), at: seconds) == ["2=t"], "a second is lost on the way")
    }
    #expect(ask(&cache, 3, Demand(minTTL: .seconds(999)), at: 900) == ["fetch"], "a new one would do")
    #expect(
      ask(&cache, 4, Demand(minTTL: .seconds(2000), freshness: .new), at: 900).isEmpty, "a new one is wanted anyhow")
    #expect(answer(&cache, .failure(unavailable), at: 901) == ["3=upstream_unavailable", "4=t"])
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
    let refused = TokenError(cause: .audienceNotGranted, message: "no grant")
    for (error, answer) in [(unavailable, "2=t"), (refused, "2=audience_not_granted")] {
      var cache = TokenCache()
      _ = ask(&cache, 1, at: 0)
      _ = self.answer(&cache, .success(minted("t", lifetime: 1000)), at: 0)
      #expect(ask(&cache, 2, Demand(freshness: .new), at: 40) == ["fetch"])
      #expect(ask(&cache, 3, Demand(minTTL: .seconds(970)), at: 40).isEmpty)
      #expect(self.answer(&cache, .failure(error), at: 41) == [answer, "3=\(error.cause.rawValue)"])
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
    #expect(ask(&cache, 3, at: 101, key: keys[32]) == ["fetch", "withdraw https://1/", "withdraw https://2/"])
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
    #expect(cache.lookups.negative == 2, "of a key that is new only half may wait, so the second was refused too")
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

  @Test("Each look-up counts once, when it is answered, as what it came to")
  func lookups() {
    func counts(_ cache: TokenCache) -> [Int] {
      [cache.lookups.hit, cache.lookups.miss, cache.lookups.coalesced, cache.lookups.stale, cache.lookups.negative]
    }
    var cache = TokenCache()
    _ = ask(&cache, 1, at: 0)
    _ = ask(&cache, 2, at: 0)
    #expect(counts(cache) == [0, 0, 0, 0, 0], "nobody has been answered")
    _ = answer(&cache, .success(minted("t", lifetime: 86400)), at: 1)
    #expect(counts(cache) == [0, 1, 1, 0, 0])
    _ = ask(&cache, 3, at: 2)
    #expect(counts(cache) == [1, 1, 1, 0, 0])
    // Whoever wants a newer one is given the old one when there is none, whether at once or after the tenant has
    // failed.
    _ = ask(&cache, 4, Demand(freshness: .new), at: 40)
    _ = ask(&cache, 5, Demand(freshness: .new), at: 40)
    _ = answer(&cache, .failure(unavailable), at: 41)
    #expect(counts(cache) == [1, 1, 1, 2, 0])
    _ = ask(&cache, 6, Demand(freshness: .new), at: 41.01)
    #expect(counts(cache) == [1, 1, 1, 3, 0])
    // And one that comes to nothing was a miss, the next is told what is known.
    let other = TokenKey(client: "default", grant: Grant(audience: "other"))
    _ = ask(&cache, 7, at: 50, key: other)
    _ = answer(&cache, .failure(TokenError(cause: .audienceNotGranted, message: "no grant")), at: 51, key: other)
    _ = ask(&cache, 8, at: 52, key: other)
    #expect(counts(cache) == [1, 2, 1, 3, 1])
    // A deadline that passes is an answer too.
    let slow = TokenKey(client: "default", grant: Grant(audience: "slow"))
    _ = ask(&cache, 9, at: 60, key: slow)
    _ = ask(&cache, 10, at: 60, key: slow)
    #expect(say(cache.advance(now: at(90))) == ["9=upstream_timeout", "10=upstream_timeout"])
    #expect(counts(cache) == [1, 3, 2, 3, 1])
  }

  // MARK: Tokens that the tenant repeats

  private func repeated(_ name: String, at seconds: Double, end: Double, lifetime: Double) -> MintedToken {
    MintedToken(
      accessToken: AccessToken(name), scope: nil, keyID: nil, mintedAt: at(seconds), expiresAt: at(end),
      lifetime: .seconds(lifetime), quota: [], upstreamRequestID: nil)
  }

  @Test("A token that the tenant repeats is never served with less life than was promised of it")
  func repeatedToken() {
    var cache = TokenCache()
    _ = ask(&cache, 1, at: 30)
    #expect(answer(&cache, .success(repeated("t", at: 30, end: 60, lifetime: 60)), at: 30) == ["publish t", "1=t"])
    #expect(ask(&cache, 2, at: 52.4) == ["2=t"])
    #expect(ask(&cache, 3, at: 52.6).contains("fetch"))
    let ending = answer(&cache, .success(repeated("t", at: 52.6, end: 60, lifetime: 60)), at: 52.6)
    #expect(ending == ["3=upstream_unavailable", "withdraw https://api/"])
    #expect(ask(&cache, 4, at: 59.9) == ["4=upstream_unavailable"], "until it ends the tenant is left alone")
    #expect(ask(&cache, 5, at: 60.1) == ["fetch"])
  }

  @Test("A token that the tenant repeats when it is to be replaced is asked for once more near its end, and no more")
  func repeatedWhenDue() throws {
    var cache = TokenCache()
    _ = ask(&cache, 1, at: 0)
    _ = answer(&cache, .success(minted("t", lifetime: 86400)), at: 0)
    _ = cache.used(key, now: at(1))
    var fetches: [Double] = []
    while let next = nextFetch(&cache), fetches.count < 10 {
      let seconds = start.duration(to: next) / .seconds(1)
      fetches.append(seconds)
      _ = answer(&cache, .success(repeated("t", at: seconds, end: 86400, lifetime: 86400)), at: seconds)
      cache.token(key)?.markUsed(at: next)
    }
    #expect(fetches.count == 2 && fetches.last.map { $0 > 86400 - 73 && $0 < 86400 - 30 } == true, "\(fetches)")
  }

  // MARK: The wall clock

  @Test("A refusal for a token's dates is forgotten when the clock is set, and no other is", arguments: [true, false])
  func clock(_ dependsOnClock: Bool) {
    var cache = TokenCache()
    var refused = TokenError(cause: .tokenValidationFailed, message: "issued in the future")
    if dependsOnClock { refused.flaw = .time }
    _ = ask(&cache, 1, at: 0)
    _ = answer(&cache, .failure(refused), at: 0)
    #expect(ask(&cache, 2, at: 1) == ["2=token_validation_failed"])
    _ = cache.clockStepped(now: at(2))
    #expect(ask(&cache, 3, at: 2) == (dependsOnClock ? ["fetch"] : ["3=token_validation_failed"]))
  }
}
