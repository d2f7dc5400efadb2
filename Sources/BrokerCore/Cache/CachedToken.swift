package import Basics
package import OAuth
import Synchronization

/// A validated token in the cache, shared by everyone who hands it out. Nothing of it changes but when it was last
/// used.
package final class CachedToken: Sendable {
  package let key: TokenKey
  package let minted: MintedToken
  /// From here on the token is not served: too little of its life is left.
  package let servableUntil: Instant
  /// When it is to be replaced, if it is in use.
  package let refreshAt: Instant
  /// In seconds. Relaxed ordering will do: it only tells what is in use, and what to evict.
  private let lastUse: Atomic<Int>
  private let isRefreshReported = Atomic(false)

  /// `predecessor` is the token it replaces without anybody having asked: then it is not in use yet. One that
  /// `isRepeated` is the token that was held before.
  init(
    key: TokenKey, minted: MintedToken, rules: TokenCache.Rules, inPlaceOf predecessor: CachedToken?,
    isRepeated: Bool = false, now: Instant
  ) {
    self.key = key
    self.minted = minted
    let left = minted.mintedAt.duration(to: minted.expiresAt)
    let margin = minted.margin(rules.minRemaining)
    servableUntil = minted.expiresAt.advanced(by: .zero - margin)
    let ahead = isRepeated ? margin * 2 : Self.ahead(left, margin: margin, rules.refreshBefore)
    let jitter = ahead / 5 * Self.fraction(of: minted.accessToken)
    let due = minted.expiresAt.advanced(by: .zero - ahead - jitter)
    // A tenant that repeats its token once more, shortly before that ends, gives no other before.
    refreshAt =
      isRepeated && now.duration(to: due) < margin ? servableUntil : max(minted.mintedAt.advanced(by: left / 4), due)
    lastUse = Atomic(predecessor?.lastUsed ?? Self.seconds(now))
  }

  /// How long before its end a token is replaced: a twentieth of its life, twice the margin at the least, an hour at
  /// most.
  private static func ahead(_ lifetime: Duration, margin: Duration, _ configured: Duration?) -> Duration {
    guard let configured else { return min(max(lifetime / 20, margin * 2), max(.seconds(3600), margin * 2)) }
    return min(max(configured, margin), lifetime / 2)
  }

  /// From 0 to 1, by the token's bytes (FNV-1a), so that every replica that holds the token spreads it alike.
  private static func fraction(of token: AccessToken) -> Double {
    let hash = token.bytes.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    return Double(hash >> 11) / Double(1 << 53)
  }

  package func isServable(at now: Instant) -> Bool { now < servableUntil }

  package func markUsed(at now: Instant) {
    let seconds = Self.seconds(now)
    // Written once a second only: a line written at each use would travel between the cores all the time.
    if lastUse.load(ordering: .relaxed) != seconds { lastUse.store(seconds, ordering: .relaxed) }
  }

  /// True for one caller: the first to use the token once it is due to be replaced.
  package func isFirstUseWhenDue() -> Bool {
    !isRefreshReported.load(ordering: .relaxed) && !isRefreshReported.exchange(true, ordering: .relaxed)
  }

  /// Whether anybody has asked for it since it was minted.
  var isInUse: Bool { lastUsed >= Self.seconds(minted.mintedAt) }

  /// When it was last given to anybody, to the second.
  package var lastUsedAt: Instant { Instant(nanoseconds: Int64(lastUsed) * 1_000_000_000) }

  var lastUsed: Int { lastUse.load(ordering: .relaxed) }

  private static func seconds(_ instant: Instant) -> Int { Int(instant.nanoseconds / 1_000_000_000) }
}

extension MintedToken {
  /// The last of its life, in which it is not served.
  func margin(_ minRemaining: Duration) -> Duration { min(minRemaining, lifetime / 8) }
}
