import Basics
import BrokerCore
import HTTPServer
import IO
import OAuth

/// A token's answers. All but the seconds it has left was rendered when it was minted (`MintedToken.answerStart`);
/// those are written for each request: with many audiences most are asked for less than once a second, and keeping
/// whole answers would keep a copy on each loop for nothing.
extension CachedToken {
  private static let middle: StaticString = ",\"refresh_in\":"
  private static let end: StaticString = "}"
  private static let jsonHead = PreparedHead(200, fields(type: "application/json"))
  private static let textHead = PreparedHead(200, fields(type: "text/plain; charset=utf-8"))

  /// Answers with the token, which must be servable. True for the first request that comes when it is due to be
  /// replaced.
  func send(_ representation: Representation, to response: ResponseWriter, now: Instant) -> Bool {
    markUsed(at: now)
    switch representation {
    case .text:
      let text = minted.accessToken.bytes
      response.send(Self.textHead, length: text.count) { $0.append(text) }
    case .field: response.send(self.response(.field, now: now))
    case .json:
      let (left, untilRefresh) = seconds(now)
      let digits = ByteBuffer.digits(of: left) + ByteBuffer.digits(of: untilRefresh)
      let fixed = Self.middle.utf8CodeUnitCount + Self.end.utf8CodeUnitCount
      response.send(Self.jsonHead, length: minted.answerStart.count + fixed + digits) { body in
        body.append(minted.answerStart)
        body.append(decimal: left)
        body.append(Self.middle)
        body.append(decimal: untilRefresh)
        body.append(Self.end)
      }
    }
    return now >= refreshAt && isFirstUseWhenDue()
  }

  /// The same answer, for a request that waited for the token.
  func response(_ representation: Representation, now: Instant) -> Response {
    switch representation {
    case .text:
      return Response(
        200, fields: Self.fields(type: "text/plain; charset=utf-8"), body: Array(minted.accessToken.bytes))
    case .field:
      let value = "Bearer \(minted.accessToken.value)"
      return Response(200, fields: [("Authorization", value), ("Cache-Control", "no-store")])
    case .json:
      let (left, untilRefresh) = seconds(now)
      let rest = Array("\(left)\(Self.middle)\(untilRefresh)\(Self.end)".utf8)
      return Response(200, fields: Self.fields(type: "application/json"), body: minted.answerStart + rest)
    }
  }

  private static func fields(type: String) -> [(name: String, value: String)] {
    [("Content-Type", type), ("Cache-Control", "no-store"), ("Pragma", "no-cache")]
  }

  /// Until the token expires, rounded down, and until asking again may bring a fresher one, rounded up.
  private func seconds(_ now: Instant) -> (left: UInt64, untilRefresh: UInt64) {
    let second: Int64 = 1_000_000_000
    let left = (minted.expiresAt.nanoseconds - now.nanoseconds) / second
    let untilRefresh = (refreshAt.nanoseconds - now.nanoseconds + second - 1) / second
    return (UInt64(max(0, left)), UInt64(max(0, untilRefresh)))
  }
}
