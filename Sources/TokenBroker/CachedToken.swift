package import Clocks
package import OAuth
import Synchronization

/// A validated token in the cache, shared by everyone who hands it out. Only its time of last use changes.
package final class CachedToken: Sendable {
  package let key: TokenKey
  package let minted: MintedToken
  /// From here on the token is not served: too little of its life is left.
  package let servableUntil: Instant
  /// When asking again can bring a fresher token.
  package let refreshAt: Instant
  /// In seconds. Relaxed: it only orders evictions.
  private let lastUse: Atomic<Int>

  init(key: TokenKey, minted: MintedToken, rules: TokenCache.Rules, now: Instant) {
    self.key = key
    self.minted = minted
    let lifetime = minted.mintedAt.duration(to: minted.expiresAt)
    servableUntil = minted.expiresAt.advanced(by: .zero - min(rules.minRemaining, lifetime / 8))
    // Tokens are replaced on demand; refresh-ahead will bring this forward.
    refreshAt = servableUntil
    lastUse = Atomic(Self.seconds(now))
  }

  package func isServable(at now: Instant) -> Bool { now < servableUntil }

  package func markUsed(at now: Instant) {
    let seconds = Self.seconds(now)
    // Written once a second only: a line written at each use would travel between the cores all the time.
    if lastUse.load(ordering: .relaxed) != seconds { lastUse.store(seconds, ordering: .relaxed) }
  }

  var lastUsed: Int { lastUse.load(ordering: .relaxed) }

  private static func seconds(_ instant: Instant) -> Int { Int(instant.nanoseconds / 1_000_000_000) }
}
