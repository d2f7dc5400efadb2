package import Basics

/// An access token. It prints as `<redacted>`; only `value` shows it.
package struct AccessToken: Sendable, Equatable {
  package let value: String

  package init(_ value: String) { self.value = value }

  /// SHA-256 of the token, in lower-case hexadecimal: how callers and logs may name it.
  package var sha256: String { digest.hex }

  package var digest: SHA256Digest { SHA256Digest(of: value.utf8.span) }

  static let maxBytes = 32 * 1024

  /// Whether the text is a token that cannot break out of a header, a list in one, a quoted string or a log line: the
  /// `VSCHAR` of RFC 6749 appendix A.12 but space, `"`, `\` and `,`.
  static func isWellFormed(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.count <= maxBytes
      && text.utf8.allSatisfy { byte in
        0x21...0x7E ~= byte && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: ",") && byte != UInt8(ascii: "\\")
      }
  }
}

extension AccessToken: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { "<redacted>" }
  package var debugDescription: String { "<redacted>" }
  package var customMirror: Mirror { Mirror(self, children: []) }
}

/// A validated token, with its life in monotonic time.
package struct MintedToken: Sendable {
  package let accessToken: AccessToken
  /// The scopes granted, where the tenant named them.
  package let scope: String?
  /// The `kid` it is signed with.
  package let keyID: String?
  /// When it was asked for.
  package let mintedAt: Instant
  /// The earlier of `expires_in` after it was asked for and its `exp`.
  package let expiresAt: Instant
  /// The whole of its life: from when it was first had, which for a token that the tenant repeats was before this time.
  /// What the token says of when it was issued is not believed.
  package let lifetime: Duration
  /// What the tenant said is left of its quotas.
  package let quota: [QuotaBucket]
  package let upstreamRequestID: String?
  /// How many requests with other credentials were refused before.
  package var resends = 0
  /// Whether another process, or an earlier one, has minted it, so that the tenant was not asked.
  package let isFromStore: Bool

  /// A date of Unix time, such as `exp`, in monotonic time, which no later step of the wall clock moves. It is not
  /// further away than the longest lifetime: whoever wrote it may have written anything. `now` and `wallNow`, Unix time
  /// in seconds, are the same moment.
  package static func instant(of date: Double, now: Instant, wallNow: Double) -> Instant {
    let most = Double(TokenResponse.maxLifetime)
    return now.advanced(by: .seconds(max(-most, min(date - wallNow, most))))
  }

  package init(
    accessToken: AccessToken, scope: String?, keyID: String?, mintedAt: Instant,
    expiresAt: Instant, lifetime: Duration? = nil, quota: [QuotaBucket], upstreamRequestID: String?,
    isFromStore: Bool = false
  ) {
    self.accessToken = accessToken
    self.scope = scope
    self.keyID = keyID
    self.mintedAt = mintedAt
    self.expiresAt = expiresAt
    self.lifetime = max(lifetime ?? .zero, mintedAt.duration(to: expiresAt))
    self.quota = quota
    self.upstreamRequestID = upstreamRequestID
    self.isFromStore = isFromStore
  }
}
