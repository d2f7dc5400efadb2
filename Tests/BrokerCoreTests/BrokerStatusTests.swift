import Basics
import Logging
import OAuth
import Testing

@testable import BrokerCore

/// What people are told of keys and clients.
@Suite(.timeLimit(.minutes(1))) struct BrokerStatusTests {
  private let start = Instant.now
  private let key = TokenKey(client: "default", grant: Grant(audience: "https://api/"))

  private func at(_ seconds: Double) -> Instant { start.advanced(by: .seconds(seconds)) }

  private func minted(at seconds: Double = 0, quota: [QuotaBucket] = []) -> MintedToken {
    mintedToken(at: at(seconds), lifetime: 1000, quota: quota)
  }

  private func ask(_ cache: inout TokenCache, _ waiter: UInt64, at seconds: Double) {
    _ = cache.request(key, Demand(), waiter: waiter, deadline: at(seconds + 30), now: at(seconds))
  }

  private func status(_ cache: TokenCache, at seconds: Double) throws -> KeyStatus {
    try #require(cache.keyStatuses(now: at(seconds)).first)
  }

  @Test("All who waited for one mint but the first are hits, and so are those who come later")
  func hits() throws {
    var cache = TokenCache()
    for waiter in 1...5 { ask(&cache, UInt64(waiter), at: 0) }
    #expect(try status(cache, at: 0).fetch == .running)
    _ = cache.fetched(key, .success(minted()), now: at(0))
    ask(&cache, 6, at: 1)
    #expect(try status(cache, at: 1).hits == 5)
    _ = cache.advance(now: at(950))
    _ = cache.fetched(key, .success(minted(at: 950)), now: at(950))
    ask(&cache, 7, at: 951)
    #expect(try status(cache, at: 951).hits == 6, "they go on counting with the next token")
  }

  @Test("A token that nobody uses is not replaced, unless it is to be held anyhow")
  func nextRefresh() throws {
    var cache = TokenCache()
    ask(&cache, 1, at: 0)
    _ = cache.fetched(key, .success(minted()), now: at(0))
    let planned = try #require(try status(cache, at: 1).nextRefresh)
    #expect(cache.advance(now: planned.advanced(byNanoseconds: -1)).isEmpty)
    #expect(cache.advance(now: planned).count == 1, "it is when the tenant is asked")
    _ = cache.fetched(key, .success(minted(at: 940)), now: at(940))
    #expect(try status(cache, at: 941).nextRefresh == nil)
    _ = cache.configure(TokenCache.Rules(), prefetched: [key], now: at(942))
    #expect(try status(cache, at: 942).nextRefresh != nil && status(cache, at: 942).isPrefetched)
    #expect(try status(cache, at: 1930).token == nil, "with too little life it is not held any more")
  }

  @Test("While a failure is remembered it is told what callers are told, and afterwards what it was")
  func failure() throws {
    var cache = TokenCache()
    ask(&cache, 1, at: 0)
    _ = cache.fetched(key, .failure(TokenError(cause: .audienceNotGranted, message: "no grant")), now: at(0))
    let now = try status(cache, at: 10)
    #expect(now.refusal?.cause == .audienceNotGranted && now.refusal?.retryAfter == .seconds(50))
    #expect(now.failures == 1 && now.token == nil && now.lastFailure?.at == at(0))
    let later = try status(cache, at: 61)
    #expect(later.refusal == nil && later.lastFailure?.error.message == "no grant")
  }

  @Test("What the tenant says of its quotas is told with when it begins anew; the month's allotment with what is used")
  func client() async throws {
    var rules = TokenCache.Rules()
    rules.client.monthlyMints = 100
    rules.client.monthlyReserve = 20
    let bucket = QuotaBucket(name: "per_hour", quota: 10, remaining: 7, resetsIn: .seconds(600))
    let broker = Broker(
      rules: rules, requestTimeout: .seconds(30),
      minter: StubMinter { [token = minted(quota: [bucket])] key, _ throws(TokenError) in
        if key.audience == "bad" { throw TokenError(cause: .unknownAudience, message: "no such API") }
        return token
      },
      health: Health(), log: .silent)
    _ = try await broker.token(key)
    _ = try? await broker.token(TokenKey(client: "default", grant: Grant(audience: "bad")))
    let status = await broker.status
    let quota = try #require(status.figures.clients["default"]?.quota["per_hour"])
    #expect(quota.remaining == 7 && quota.limit == 10 && quota.resetsAt == at(600))
    #expect(status.figures.clients["default"]?.lastFailure?.error.cause == .unknownAudience)
    let client = try #require(status.clients["default"])
    #expect(client.budget?.used == 1 && client.budget?.limit == 100 && client.budget?.reserve == 20)
    #expect(client.block == nil && client.inFlight == 0 && client.queued == 0)
    #expect(status.keys.count == 2)
  }
}
