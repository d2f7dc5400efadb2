import Basics
import OAuth
import Testing

@testable import BrokerCore

/// What an operator has mended, and has tried at once.
@Suite struct RetryTests {
  private let start = Instant.now
  private let key = TokenKey(client: "default", grant: Grant(audience: "https://api/"))

  private func at(_ seconds: Double) -> Instant { start.advanced(by: .seconds(seconds)) }

  private func ask(
    _ cache: inout TokenCache, _ waiter: UInt64, at seconds: Double, _ freshness: Demand.Freshness = .any
  ) -> [String] {
    cache.request(
      key, Demand(freshness: freshness), waiter: waiter, deadline: at(seconds + 30), now: at(seconds)
    ).map(\.said)
  }

  private func fail(_ cache: inout TokenCache, _ cause: TokenError.Cause, wait: Duration? = nil, at seconds: Double) {
    let error = TokenError(cause: cause, message: "it is \(cause.rawValue)", retryAfter: wait)
    _ = cache.fetched(key, .failure(error), now: at(seconds))
  }

  private func retry(_ cache: inout TokenCache, at seconds: Double) -> [String] {
    cache.retry(key, now: at(seconds)).map(\.said)
  }

  @Test(
    "What is remembered of a refusal ends, so that the next request goes out",
    arguments: [TokenError.Cause.audienceNotGranted, .unknownAudience, .brokerMisconfigured, .tokenValidationFailed])
  func refusal(_ cause: TokenError.Cause) {
    var cache = TokenCache()
    _ = ask(&cache, 1, at: 0)
    fail(&cache, cause, at: 0)
    #expect(ask(&cache, 2, at: 2) == ["2=\(cause.rawValue)"])
    #expect(cache.hasFailed(key))
    #expect(retry(&cache, at: 3).isEmpty)
    #expect(ask(&cache, 3, at: 3) == ["fetch"])
  }

  @Test("A try that fails is remembered longer than the first, as if nobody had tried")
  func streak() {
    var cache = TokenCache()
    _ = ask(&cache, 1, at: 0)
    fail(&cache, .audienceNotGranted, at: 0)
    _ = retry(&cache, at: 2)
    _ = ask(&cache, 2, at: 2)
    fail(&cache, .audienceNotGranted, at: 2)
    #expect(ask(&cache, 3, at: 110) == ["3=audience_not_granted"])
    #expect(ask(&cache, 4, at: 123) == ["fetch"])
  }

  @Test("A failure of this second is believed, so that clicking fast costs nothing")
  func floor() {
    var cache = TokenCache()
    _ = ask(&cache, 1, at: 0)
    fail(&cache, .brokerMisconfigured, at: 0)
    _ = retry(&cache, at: 0.9)
    #expect(ask(&cache, 2, at: 0.9) == ["2=broker_misconfigured"])
  }

  @Test("How long a tenant's limit lasts is the tenant's to say")
  func limit() {
    var cache = TokenCache()
    _ = ask(&cache, 1, at: 0)
    fail(&cache, .upstreamRateLimited, wait: .seconds(300), at: 0)
    _ = retry(&cache, at: 10)
    #expect(ask(&cache, 2, at: 10) == ["2=upstream_rate_limited"])
  }

  @Test("A token that is due and could not be replaced is asked for at once")
  func held() {
    var cache = TokenCache()
    _ = ask(&cache, 1, at: 0)
    _ = cache.fetched(key, .success(mintedToken("old", at: at(0), lifetime: 1000)), now: at(0))
    _ = ask(&cache, 2, at: 1)
    _ = cache.advance(now: at(950))
    fail(&cache, .brokerMisconfigured, at: 951)
    #expect(retry(&cache, at: 953) == ["fetch"])
    #expect(ask(&cache, 3, at: 953, .new).isEmpty, "who asks for a new one waits for that")
  }

  @Test("Nothing has failed for a key that has a token, or that nobody has asked for")
  func unneeded() {
    var cache = TokenCache()
    #expect(!cache.hasFailed(key))
    _ = ask(&cache, 1, at: 0)
    fail(&cache, .upstreamUnavailable, at: 0)
    #expect(cache.hasFailed(key))
    _ = ask(&cache, 2, at: 40)
    _ = cache.fetched(key, .success(mintedToken("new", at: at(41))), now: at(41))
    #expect(!cache.hasFailed(key))
  }
}
