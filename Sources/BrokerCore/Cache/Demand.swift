package import Basics
package import OAuth

/// What a request asks of the token beyond being servable.
package struct Demand: Sendable {
  /// The least life the token must have left.
  package var minTTL: Duration
  package var freshness: Freshness

  package enum Freshness: Sendable {
    case any
    /// The caller wants a new token (`Cache-Control: no-cache`).
    case new
    /// A new one only if the current token is the one with this SHA-256, in lower-case hexadecimal.
    case newUnlessReplaced(rejected: String)
  }

  package init(minTTL: Duration = .zero, freshness: Freshness = .any) {
    self.minTTL = minTTL
    self.freshness = freshness
  }

  /// True if any token that is servable will do.
  package var isPlain: Bool { if case .any = freshness { minTTL == .zero } else { false } }

  /// Whether so much of the token's life is left as was asked for.
  package func isMet(byLifeOf token: MintedToken, now: Instant) -> Bool { now.duration(to: token.expiresAt) >= minTTL }

  /// The same, or a new token would not live so long either, as the newest one shows. Part of a second of each life is
  /// lost in whole seconds and on the way.
  func acceptsLife(of token: MintedToken, now: Instant) -> Bool {
    isMet(byLifeOf: token, now: now) || minTTL > token.lifetime - .seconds(1)
  }

  /// Whether `token`, which is servable, will do. One younger than `minRefreshInterval` always does, so that
  /// no caller can make the broker mint on every call.
  func accepts(_ token: CachedToken, minRefreshInterval: Duration, now: Instant) -> Bool {
    if token.minted.mintedAt.duration(to: now) < minRefreshInterval { return true }
    if !acceptsLife(of: token.minted, now: now) { return false }
    switch freshness {
    case .any: return true
    case .new: return false
    case .newUnlessReplaced(let rejected): return token.minted.accessToken.sha256 != rejected
    }
  }
}
