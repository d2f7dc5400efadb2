package import Basics

/// A token that was minted and validated earlier, by this process or another. Its times are of the wall clock, because
/// another process cannot read this one's monotonic time.
package struct StoredToken: Sendable, Equatable {
  package let accessToken: AccessToken
  /// The scopes granted, where the tenant named them.
  package let scope: String?
  /// When it was asked for, in Unix time.
  package let mintedAt: Double
  /// The earlier of `expires_in` after that and its `exp`, in Unix time.
  package let expiresAt: Double

  package init(accessToken: AccessToken, scope: String?, mintedAt: Double, expiresAt: Double) {
    self.accessToken = accessToken
    self.scope = scope
    self.mintedAt = mintedAt
    self.expiresAt = expiresAt
  }
}

extension MintedToken {
  /// The token as others can read it. `now` and `wallNow`, Unix time in seconds, are the same moment.
  package func kept(now: Instant, wallNow: Double) -> StoredToken {
    StoredToken(
      accessToken: accessToken, scope: scope, mintedAt: wallNow + (now.duration(to: mintedAt) / .seconds(1)),
      expiresAt: wallNow + (now.duration(to: expiresAt) / .seconds(1)))
  }

  /// A token that was kept, with its life in monotonic time: not longer than it was said to be, nor beyond `expiry`.
  /// One that seems to come from the future was minted now, by a faster clock.
  package init(_ kept: StoredToken, keyID: String?, expiry: Instant?, now: Instant, wallNow: Double) {
    let expiresAt = Self.instant(of: kept.expiresAt, now: now, wallNow: wallNow)
    self.init(
      accessToken: kept.accessToken, scope: kept.scope, keyID: keyID,
      mintedAt: min(now, Self.instant(of: kept.mintedAt, now: now, wallNow: wallNow)),
      expiresAt: min(expiresAt, expiry ?? expiresAt), quota: [], upstreamRequestID: nil, isFromStore: true)
  }
}
