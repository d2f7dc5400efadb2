import HTTPServer
import OAuth
import TokenBroker

/// A token's responses on one event loop, rendered at most once a second, while `expires_in` stands.
final class RenderedToken {
  let token: CachedToken
  private var json: PreparedResponse?
  private var text: PreparedResponse?
  private var validUntil: ContinuousClock.Instant?

  init(_ token: CachedToken) {
    self.token = token
  }

  /// The response at `now`; nil when the token may not be served any more.
  func response(_ representation: Representation, now: ContinuousClock.Instant) -> PreparedResponse? {
    guard token.isServable(at: now) else { return nil }
    if let validUntil, now < validUntil {
      switch representation {
      case .json: if let json { return json }
      case .text: if let text { return text }
      }
    } else {
      (json, text) = (nil, nil)
      validUntil = token.minted.expiresAt.advanced(by: .seconds(-Self.secondsLeft(token, now: now)))
      token.markUsed(at: now)
    }
    let rendered = PreparedResponse(Self.response(token, representation, now: now))
    switch representation {
    case .json: json = rendered
    case .text: text = rendered
    }
    return rendered
  }

  static func response(
    _ token: CachedToken, _ representation: Representation, now: ContinuousClock.Instant
  ) -> Response {
    let type: String
    let body: [UInt8]
    switch representation {
    case .json: (type, body) = ("application/json", Self.body(token, now: now))
    case .text: (type, body) = ("text/plain; charset=utf-8", Array((token.minted.accessToken.value + "\n").utf8))
    }
    return Response(
      200, fields: [("Content-Type", type), ("Cache-Control", "no-store"), ("Pragma", "no-cache")], body: body)
  }

  private static func body(_ token: CachedToken, now: ContinuousClock.Instant) -> [UInt8] {
    var members: [(name: String, value: [UInt8])] = [
      ("access_token", JSONText.string(token.minted.accessToken.value)),
      ("token_type", JSONText.string("Bearer")),
      ("expires_in", JSONText.number(secondsLeft(token, now: now))),
      ("refresh_in", JSONText.number(now.duration(to: token.refreshAt).wholeSecondsUp)),
    ]
    if let scope = token.minted.scope { members.append(("scope", JSONText.string(scope))) }
    return JSONText.object(members)
  }

  private static func secondsLeft(_ token: CachedToken, now: ContinuousClock.Instant) -> Int {
    max(0, Int(now.duration(to: token.minted.expiresAt).components.seconds))
  }
}

extension Duration {
  /// Rounded up, and 0 for what is past.
  var wholeSecondsUp: Int {
    let (seconds, attoseconds) = components
    return max(0, Int(seconds) + (attoseconds > 0 ? 1 : 0))
  }
}
