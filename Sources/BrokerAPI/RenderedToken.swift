import Basics
import HTTPServer
import OAuth
import IO
import BrokerCore

/// A token's answers, rendered but for the seconds it has left. One for all event loops.
///
/// Those seconds are written for each request: with many audiences most are asked for less than once a second, and
/// keeping whole answers would keep a copy on each loop for nothing. What a request reads lies close together, because
/// with many audiences most of the time goes into waiting for memory.
package final class RenderedToken: Sendable {
  private let servableUntil: Instant
  private let expiresAt: Instant
  private let refreshAt: Instant
  /// The audience, the JSON up to the seconds of `expires_in`, and the JSON behind the seconds of `refresh_in`.
  private let bytes: [UInt8]
  private let audienceEnd: Int
  private let startEnd: Int
  let token: CachedToken
  /// In the metrics.
  let clientNumber: Int
  let audienceNumber: Int

  private static let middle: StaticString = ",\"refresh_in\":"
  private static let jsonHead = PreparedHead(200, fields(type: "application/json"))
  private static let textHead = PreparedHead(200, fields(type: "text/plain; charset=utf-8"))

  init(_ token: CachedToken, clientNumber: Int = 0, audienceNumber: Int = 0) {
    self.token = token
    self.clientNumber = clientNumber
    self.audienceNumber = audienceNumber
    servableUntil = token.servableUntil
    expiresAt = token.minted.expiresAt
    refreshAt = token.refreshAt
    let members = [
      ("access_token", JSONText.string(token.minted.accessToken.value)), ("token_type", JSONText.string("Bearer")),
    ]
    let audience = Array(token.key.grant.audience.utf8)
    let start = JSONText.object(members).dropLast() + Array(",\"expires_in\":".utf8)
    let scope = token.minted.scope.map { Array(",\"scope\":".utf8) + JSONText.string($0) } ?? []
    audienceEnd = audience.count
    startEnd = audienceEnd + start.count
    bytes = audience + start + scope + Array("}".utf8)
  }

  var audience: ArraySlice<UInt8> { bytes.prefix(audienceEnd) }

  func isServable(at now: Instant) -> Bool { now < servableUntil }

  /// Answers with the token, which must be servable. True for the first request that comes when it is due to be
  /// replaced.
  func send(_ representation: Representation, to response: ResponseWriter, now: Instant) -> Bool {
    token.markUsed(at: now)
    switch representation {
    case .text:
      let text = text
      response.send(Self.textHead, length: text.count) { $0.append(text) }
    case .field: response.send(self.response(.field, now: now))
    case .json:
      let (left, untilRefresh) = seconds(now)
      let digits = ByteBuffer.digits(of: left) + ByteBuffer.digits(of: untilRefresh)
      let length = bytes.count - audienceEnd + Self.middle.utf8CodeUnitCount + digits
      response.send(Self.jsonHead, length: length) { body in
        body.append(bytes[audienceEnd..<startEnd])
        body.append(decimal: left)
        body.append(Self.middle)
        body.append(decimal: untilRefresh)
        body.append(bytes[startEnd...])
      }
    }
    return now >= refreshAt && token.isFirstUseWhenDue()
  }

  /// The same answer, for a request that waited for the token.
  func response(_ representation: Representation, now: Instant) -> Response {
    switch representation {
    case .text: return Response(200, fields: Self.fields(type: "text/plain; charset=utf-8"), body: text)
    case .field:
      let value = "Bearer \(token.minted.accessToken.value)"
      return Response(200, fields: [("Authorization", value), ("Cache-Control", "no-store")])
    case .json:
      let (left, untilRefresh) = seconds(now)
      let middle = Array("\(left)\(Self.middle)\(untilRefresh)".utf8)
      return Response(
        200, fields: Self.fields(type: "application/json"),
        body: Array(bytes[audienceEnd..<startEnd] + middle + bytes[startEnd...]))
    }
  }

  private var text: [UInt8] { Array(token.minted.accessToken.value.utf8) }

  private static func fields(type: String) -> [(name: String, value: String)] {
    [("Content-Type", type), ("Cache-Control", "no-store"), ("Pragma", "no-cache")]
  }

  /// Until the token expires, rounded down, and until asking again may bring a fresher one, rounded up.
  private func seconds(_ now: Instant) -> (left: UInt64, untilRefresh: UInt64) {
    let second: Int64 = 1_000_000_000
    let left = (expiresAt.nanoseconds - now.nanoseconds) / second
    let untilRefresh = (refreshAt.nanoseconds - now.nanoseconds + second - 1) / second
    return (UInt64(max(0, left)), UInt64(max(0, untilRefresh)))
  }
}
