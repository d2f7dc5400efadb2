import Basics
import OAuth

/// A token as a tenant might have answered with it, asked for at `mintedAt` and living for `lifetime` seconds.
func mintedToken(
  _ name: String = "t", at mintedAt: Instant = .now, lifetime: Double = 3600, keyID: String? = nil,
  quota: [QuotaBucket] = [], isFromStore: Bool = false
) -> MintedToken {
  MintedToken(
    accessToken: AccessToken(name), scope: nil, keyID: keyID, mintedAt: mintedAt,
    expiresAt: mintedAt.advanced(by: .seconds(lifetime)), quota: quota, upstreamRequestID: nil,
    isFromStore: isFromStore)
}
