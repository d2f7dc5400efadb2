import Clocks
import HTTPServer
import OAuth
import Sockets
import TokenBroker

/// A token's answers, rendered but for the seconds it has left. One for all event loops.
///
/// Those seconds are written for each request: with many audiences most are asked for less than once a second, and
/// keeping whole answers would keep a copy on each loop for nothing.
final class RenderedToken: Sendable {
  let token: CachedToken
  let audience: [UInt8]
  private let text: [UInt8]
  /// The JSON up to the seconds of `expires_in`.
  private let start: [UInt8]
  /// The JSON behind the seconds of `refresh_in`.
  private let end: [UInt8]

  private static let middle: StaticString = ",\"refresh_in\":"
  private static let jsonHead = PreparedHead(200, fields(type: "application/json"))
  private static let textHead = PreparedHead(200, fields(type: "text/plain; charset=utf-8"))

  init(_ token: CachedToken) {
    self.token = token
    audience = Array(token.key.grant.audience.utf8)
    text = Array((token.minted.accessToken.value + "\n").utf8)
    let members = [
      ("access_token", JSONText.string(token.minted.accessToken.value)), ("token_type", JSONText.string("Bearer")),
    ]
    start = JSONText.object(members).dropLast() + Array(",\"expires_in\":".utf8)
    end =
      token.minted.scope.map { Array(",\"scope\":".utf8) + JSONText.string($0) + Array("}".utf8) } ?? Array("}".utf8)
  }

  /// Answers with the token; false when it may not be served any more.
  func send(_ representation: Representation, to response: ResponseWriter, now: Instant) -> Bool {
    guard token.isServable(at: now) else { return false }
    token.markUsed(at: now)
    switch representation {
    case .text:
      response.send(Self.textHead, length: text.count) { $0.append(text) }
    case .json:
      let (left, untilRefresh) = seconds(now)
      let digits = ByteBuffer.digits(of: left) + ByteBuffer.digits(of: untilRefresh)
      let length = start.count + Self.middle.utf8CodeUnitCount + end.count + digits
      response.send(Self.jsonHead, length: length) { body in
        body.append(start)
        body.append(decimal: left)
        body.append(Self.middle)
        body.append(decimal: untilRefresh)
        body.append(end)
      }
    }
    return true
  }

  /// The same answer, for a request that waited for the token.
  func response(_ representation: Representation, now: Instant) -> Response {
    switch representation {
    case .text:
      return Response(200, fields: Self.fields(type: "text/plain; charset=utf-8"), body: text)
    case .json:
      let (left, untilRefresh) = seconds(now)
      let middle = Array("\(left)\(Self.middle)\(untilRefresh)".utf8)
      return Response(200, fields: Self.fields(type: "application/json"), body: start + middle + end)
    }
  }

  private static func fields(type: String) -> [(name: String, value: String)] {
    [("Content-Type", type), ("Cache-Control", "no-store"), ("Pragma", "no-cache")]
  }

  /// Until the token expires, rounded down, and until asking again may bring a fresher one, rounded up.
  private func seconds(_ now: Instant) -> (left: UInt64, untilRefresh: UInt64) {
    let second: Int64 = 1_000_000_000
    let left = (token.minted.expiresAt.nanoseconds - now.nanoseconds) / second
    let untilRefresh = (token.refreshAt.nanoseconds - now.nanoseconds + second - 1) / second
    return (UInt64(max(0, left)), UInt64(max(0, untilRefresh)))
  }
}

extension Duration {
  /// Rounded up, and 0 for what is past.
  var wholeSecondsUp: Int {
    let (seconds, attoseconds) = components
    return max(0, Int(seconds) + (attoseconds > 0 ? 1 : 0))
  }
}
