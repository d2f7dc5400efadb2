import Basics
import OAuth
import Testing

@testable import BrokerCore

/// What `TokenCache` makes of the quotas that a tenant tells of with its tokens.
@Suite struct QuotaTests {
  private let start = Instant(nanoseconds: 1_000_000_000_000)
  private let key = TokenKey(client: "default", grant: Grant(audience: "https://api/", organization: "org"))
  private let other = TokenKey(client: "default", grant: Grant(audience: "https://other/", organization: "org"))
  private let foreign = TokenKey(client: "default", grant: Grant(audience: "https://other/", organization: "else"))
  private var cache = TokenCache()

  private func at(_ seconds: Double) -> Instant { start.advanced(by: .seconds(seconds)) }

  private mutating func ask(_ key: TokenKey, at seconds: Double) -> [String] {
    cache.request(key, Demand(), waiter: 1, deadline: at(seconds + 30), now: at(seconds)).map(\.said)
  }

  /// Answers with a token and says that so much is left of a quota for the next 3,000 s.
  private mutating func answer(
    _ key: TokenKey, _ name: String = "t", lifetime: Double = 10_000, left: Int = 0, ofOrganization: Bool = false,
    at seconds: Double
  ) -> [String] {
    let bucket = QuotaBucket(
      name: "per_hour", quota: 100, remaining: left, resetsIn: .seconds(3000), isOfOrganization: ofOrganization)
    let minted = mintedToken(name, at: at(seconds), lifetime: lifetime, quota: [bucket])
    return cache.fetched(key, .success(minted), now: at(seconds)).map(\.said)
  }

  /// When the key is asked for though nobody waits, within `seconds`.
  private mutating func nextFetch(within seconds: Double) -> Double? {
    while let next = cache.nextEvent, next <= at(seconds) {
      let actions = cache.advance(now: next)
      if actions.contains(where: { $0.said == "fetch" }) { return start.duration(to: next) / .seconds(1) }
    }
    return nil
  }

  @Test("A quota at zero refuses nobody, for it may only be watched", arguments: [false, true])
  mutating func watched(ofOrganization: Bool) {
    #expect(ask(key, at: 0) == ["fetch"])
    #expect(answer(key, ofOrganization: ofOrganization, at: 1) == ["publish t", "1=t"])
    #expect(ask(other, at: 2) == ["fetch"])
    #expect(answer(other, ofOrganization: ofOrganization, at: 3) == ["publish t", "1=t"])
    #expect(ask(foreign, at: 4) == ["fetch"])
    #expect(cache.clientStatuses(now: at(4))["default"]?.block == nil)
  }

  @Test("A refresh waits while little is left of the client's or the organization's quota", arguments: [0, 10, 11])
  mutating func refreshes(left: Int) throws {
    for ofOrganization in [false, true] {
      cache = TokenCache()
      _ = ask(key, at: 0)
      _ = answer(key, lifetime: 3600, left: left, ofOrganization: ofOrganization, at: 0)
      _ = ask(key, at: 10)
      let fetch = try #require(nextFetch(within: 3570))
      #expect(left > 10 || fetch >= 3000, "\(fetch)")
      #expect(fetch < 3540)
    }
  }

  @Test("A token that would not outlive the wait is replaced in time all the same")
  mutating func pressing() throws {
    _ = ask(key, at: 0)
    _ = answer(key, lifetime: 600, at: 0)
    _ = ask(key, at: 10)
    #expect(try #require(nextFetch(within: 600)) < 570)
  }

  @Test("A quota of one organization keeps no refresh of another back")
  mutating func organizations() throws {
    for key in [key, foreign] { _ = ask(key, at: 0) }
    _ = answer(foreign, lifetime: 3100, left: 100, ofOrganization: true, at: 0)
    _ = answer(key, lifetime: 86_400, ofOrganization: true, at: 0)
    _ = ask(foreign, at: 10)
    #expect(try #require(nextFetch(within: 3100)) < 3000)
  }

  @Test("What is prefetched waits while little is left of the quota, and whoever asks for it does not")
  mutating func prefetch() throws {
    _ = ask(key, at: 0)
    _ = answer(key, at: 0)
    let prefetched = [other, foreign]
    #expect(cache.configure(cache.rules, prefetched: Set(prefetched), now: at(1)).isEmpty)
    #expect(ask(other, at: 2) == ["fetch"])
    #expect(try #require(nextFetch(within: 4000)) == 3000)
  }
}
