/// A request refused by the server itself, before any handler: its bytes break HTTP or a limit.
/// The connection ends after the answer, because nothing behind such bytes can be trusted to be a request.
struct Rejection: Error, Equatable {
  let status: Int
  let reason: StaticText

  static func malformed(_ reason: StaticText) -> Rejection { Rejection(status: 400, reason: reason) }

  static let timeout = Rejection(status: 408, reason: "the request did not arrive in time")
  static let bodyTooLarge = Rejection(status: 413, reason: "the body is over the limit")
  static let targetTooLong = Rejection(status: 414, reason: "the request line is over the limit")
  static let unknownExpectation = Rejection(status: 417, reason: "the only expectation known is 100-continue")
  static let headTooLarge = Rejection(status: 431, reason: "the header is over the limit")
  static let unknownCoding = Rejection(status: 501, reason: "the only transfer coding known is chunked")
  static let unknownVersion = Rejection(status: 505, reason: "the versions known are HTTP/1.0 and HTTP/1.1")
}

/// Text fixed at compile time: nothing that a peer sent can get into it.
struct StaticText: ExpressibleByStringLiteral, Equatable, Sendable, CustomStringConvertible {
  let description: String

  init(stringLiteral value: StaticString) {
    description = "\(value)"
  }
}
