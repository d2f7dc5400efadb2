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
  /// The whole of its life in seconds, where that is more than from one to the other.
  package let lifetime: Double?
  /// Whether it was checked when it was minted. One that was not is worth nothing before that is done.
  package let isChecked: Bool

  package init(
    accessToken: AccessToken, scope: String?, mintedAt: Double, expiresAt: Double, lifetime: Double? = nil,
    isChecked: Bool = true
  ) {
    self.accessToken = accessToken
    self.scope = scope
    self.mintedAt = mintedAt
    self.expiresAt = expiresAt
    self.lifetime = lifetime
    self.isChecked = isChecked
  }
}

extension MintedToken {
  /// The token as others can read it. `now` and `wallNow`, Unix time in seconds, are the same moment.
  package func kept(now: Instant, wallNow: Double) -> StoredToken {
    StoredToken(
      accessToken: accessToken, scope: scope, mintedAt: wallNow + (now.duration(to: mintedAt) / .seconds(1)),
      expiresAt: wallNow + (now.duration(to: expiresAt) / .seconds(1)),
      lifetime: lifetime > mintedAt.duration(to: expiresAt) ? lifetime / .seconds(1) : nil)
  }

  /// A token that was kept, with its life in monotonic time: not longer than it was said to be, nor beyond `expiry`.
  /// One that seems to come from the future was minted now, by a faster clock.
  package init(
    _ kept: StoredToken, keyID: String?, expiry: Instant?, now: Instant, wallNow: Double
  ) {
    let known = kept.lifetime.map { Duration.seconds(max(0, min($0, Double(TokenResponse.maxLifetime)))) }
    let expiresAt = Self.instant(of: kept.expiresAt, now: now, wallNow: wallNow)
    self.init(
      accessToken: kept.accessToken, scope: kept.scope, keyID: keyID,
      mintedAt: min(now, Self.instant(of: kept.mintedAt, now: now, wallNow: wallNow)),
      expiresAt: min(expiresAt, expiry ?? expiresAt), lifetime: known, quota: [], upstreamRequestID: nil,
      isFromStore: true)
  }
}
