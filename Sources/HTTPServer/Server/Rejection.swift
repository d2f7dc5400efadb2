/// What the server itself answers, before any handler or in its place. `RequestHandler.response(to:requestID:)` renders
/// it.
///
/// Bytes that break HTTP or a limit end the connection: nothing behind them can be trusted to be a request.
package struct Rejection: Error, Equatable {
  package enum Kind: Sendable {
    /// The bytes are no request, or one that breaks a limit or asks for what is not supported.
    case invalidRequest
    /// The handler did not answer in time.
    case noAnswer
    /// The connection is one of those kept in reserve, and the request is no probe.
    case overLimit
    /// There is no room to read the request at all: only status and fields are sent.
    case noRoom
  }

  package let kind: Kind
  package let status: Int
  package let reason: StaticText

  static func malformed(_ reason: StaticText) -> Rejection { Rejection(400, reason) }

  static let unexpectedProxyHeader = malformed(
    "the PROXY protocol is not spoken here: leave it out, or let this listener require it with ?proxy=required")
  static let clearText = malformed("this port speaks TLS: ask it by https, and without the PROXY protocol")
  static let noProxyHeader = malformed(
    "this listener requires the header of the PROXY protocol first, which is missing or malformed")
  static let unknownProxy = malformed("the PROXY protocol is taken from the addresses in proxyFrom only")
  static let timeout = Rejection(408, "the request did not arrive in time")
  static let bodyTooLarge = Rejection(413, "the body is over the limit")
  static let targetTooLong = Rejection(414, "the request line is over the limit")
  static let unknownExpectation = Rejection(417, "the only expectation known is 100-continue")
  static let headTooLarge = Rejection(431, "the header is over the limit")
  static let unknownCoding = Rejection(501, "the only transfer coding known is chunked")
  static let unknownVersion = Rejection(505, "the versions known are HTTP/1.0 and HTTP/1.1")
  static let noAnswer = Rejection(504, "no answer within the time for a request", .noAnswer)
  static let overLimit = Rejection(503, "the limit on connections is reached", .overLimit)
  static let noRoom = Rejection(503, "the limit on connections is reached", .noRoom)

  private init(_ status: Int, _ reason: StaticText, _ kind: Kind = .invalidRequest) {
    self.kind = kind
    self.status = status
    self.reason = reason
  }
}

/// Text fixed at compile time: nothing that a peer sent can get into it.
package struct StaticText: ExpressibleByStringLiteral, Equatable, Sendable, CustomStringConvertible {
  package let description: String

  package init(stringLiteral value: StaticString) { description = "\(value)" }
}
