import Basics
import OAuth
import Testing

@testable import BrokerCore

/// What is kept of a token while it is held, which decides how many can be.
@Suite struct HeldMemoryTests {
  private let now = Instant.now
  private let key = TokenKey(client: "default", grant: Grant(audience: "https://api/"))

  private func cache(minting tokens: [MintedToken]) throws -> TokenCache {
    var cache = TokenCache()
    for (number, token) in tokens.enumerated() {
      let key = TokenKey(client: "default", grant: Grant(audience: "https://\(number)/"))
      let deadline = now.advanced(by: .seconds(30))
      _ = cache.request(key, Demand(), waiter: UInt64(number), deadline: deadline, now: now)
      _ = cache.fetched(key, .success(token), now: now)
    }
    return cache
  }

  @Test("A key takes eight bytes wherever it is held, and an entry of the cache no more than a line of the processor's")
  func sizes() {
    #expect(MemoryLayout<TokenKey>.size == 8)
    #expect(MemoryLayout<TokenCache.Entry>.stride <= 64)
    #expect(MemoryLayout<TokenCache.DueTime>.stride == 16)
  }

  @Test("Nothing is left of having waited for a token, nor of what the tenant said beside it")
  func settled() throws {
    let bucket = QuotaBucket(name: "per_hour", quota: 10, remaining: 9, resetsIn: .seconds(60))
    let cache = try cache(minting: [mintedToken(at: now, lifetime: 3600, quota: [bucket])])
    let entry = try #require(cache.entries.values.first)
    #expect(entry.token?.minted.quota.isEmpty == true)
    let rest = try #require(Mirror(reflecting: entry).children.first { $0.label == "rest" })
    #expect("\(rest.value)" == "nil")
  }

  @Test("A signing key's name is kept once for all tokens that are signed with it")
  func keyID() throws {
    let tokens = (0..<2).map { _ in mintedToken(at: now, lifetime: 3600, keyID: String(repeating: "k", count: 40)) }
    let addresses = try cache(minting: tokens).tokens.map { token in
      unsafe token.minted.keyID?.utf8.withContiguousStorageIfAvailable { UInt(bitPattern: $0.baseAddress) } ?? 0
    }
    #expect(Set(addresses).count == 1 && !addresses.contains(0))
  }
}
