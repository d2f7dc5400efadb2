package import Basics

/// A validated token, with its life in monotonic time.
package struct MintedToken: Sendable {
  /// What callers are answered with up to the seconds of `expires_in` (RFC 6749 §5.1). The token's text is kept nowhere
  /// else: where many tokens are held, that is most of their memory.
  package let answerStart: [UInt8]
  private let tokenEnd: UInt32
  /// Whether another process, or an earlier one, has minted it, so that the tenant was not asked.
  package let isFromStore: Bool
  /// The scopes granted, where the tenant named them.
  package let scope: String?
  /// The `kid` it is signed with.
  package private(set) var keyID: String?
  /// When it was asked for.
  package let mintedAt: Instant
  /// The earlier of `expires_in` after it was asked for and its `exp`.
  package let expiresAt: Instant
  /// The whole of its life: from when it was first had, which for a token that the tenant repeats was before this time.
  /// What the token says of when it was issued is not believed.
  package var lifetime: Duration { .nanoseconds(nanosecondsOfLife) }
  private let nanosecondsOfLife: Int64
  private var circumstances: Circumstances?

  /// What is of interest when a token is minted, and not while it is held. An object, because most have none.
  private final class Circumstances: Sendable {
    let quota: [QuotaBucket]
    let upstreamRequestID: String?
    let resends: Int

    init(_ quota: [QuotaBucket], _ upstreamRequestID: String?, resends: Int = 0) {
      self.quota = quota
      self.upstreamRequestID = upstreamRequestID
      self.resends = resends
    }
  }

  private static let tokenStart = #"{"access_token":""#.utf8.count

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
    let scopeMember = scope.map { Array(#","scope":"#.utf8) + JSONText.string($0) } ?? []
    // No character of a token needs an escape (`AccessToken.isWellFormed`).
    let parts = [
      Array(#"{"access_token":""#.utf8)[...], accessToken.bytes, Array(#"","token_type":"Bearer""#.utf8)[...],
      scopeMember[...], Array(#","expires_in":"#.utf8)[...],
    ]
    var answerStart: [UInt8] = []
    answerStart.reserveCapacity(parts.reduce(0) { $0 + $1.count })
    for part in parts { answerStart += part }
    self.answerStart = answerStart
    tokenEnd = UInt32(Self.tokenStart + accessToken.bytes.count)
    self.scope = scope
    self.keyID = keyID
    self.mintedAt = mintedAt
    self.expiresAt = expiresAt
    nanosecondsOfLife = max(lifetime ?? .zero, mintedAt.duration(to: expiresAt)).nanoseconds
    self.isFromStore = isFromStore
    circumstances = quota.isEmpty && upstreamRequestID == nil ? nil : Circumstances(quota, upstreamRequestID)
  }

  package var accessToken: AccessToken { AccessToken(answerStart[Self.tokenStart..<Int(tokenEnd)]) }

  /// What the tenant said is left of its quotas.
  package var quota: [QuotaBucket] { circumstances?.quota ?? [] }

  package var upstreamRequestID: String? { circumstances?.upstreamRequestID }

  /// How many requests with other credentials were refused before.
  package var resends: Int {
    get { circumstances?.resends ?? 0 }
    set { circumstances = Circumstances(quota, upstreamRequestID, resends: newValue) }
  }

  /// The token to be held, without what is of interest only when it is minted. Its key's name is not kept once more
  /// where that is the `known` one.
  package func held(knowing known: String?) -> MintedToken {
    var token = self
    token.circumstances = nil
    if keyID == known { token.keyID = known }
    return token
  }
}

extension MintedToken: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { "<redacted>" }
  package var debugDescription: String { "<redacted>" }
  package var customMirror: Mirror { Mirror(self, children: []) }
}
