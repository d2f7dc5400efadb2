import Basics
import HTTPServer

/// What the tenant does with a request.
enum Reply: Sendable {
  case response(Response)
  /// Bytes on the wire as they are, each piece after a pause, then what happens to the connection.
  case verbatim([[UInt8]], pause: Duration, ending: DeferredResponse.Ending)
  case never

  static func verbatim(_ text: String, ending: DeferredResponse.Ending) -> Reply {
    .verbatim([Array(text.utf8)], pause: .zero, ending: ending)
  }

  /// The same with another date than the server's, in Unix time in seconds. For HTTP/1.1.
  func dated(_ seconds: Int) -> Reply {
    guard case .response(let response) = self else { return self }
    let fields = response.fields.map { "\($0.name): \($0.value)\r\n" }.joined()
    let status = "\(response.status) \(Response.reason(for: response.status))"
    let head = "HTTP/1.1 \(status)\r\n\(fields)Content-Length: \(response.body.count)\r\n"
    let bytes = Array(head.utf8) + DateLine.line(at: seconds) + Array("\r\n".utf8) + response.body
    return .verbatim([bytes], pause: .zero, ending: .keep)
  }

  static func json(
    _ status: Int, _ members: [(name: String, value: [UInt8])], fields: [(name: String, value: String)] = []
  ) -> Reply {
    .response(
      Response(
        status, fields: [("Content-Type", "application/json"), ("Cache-Control", "no-store")] + fields,
        body: JSONText.object(members)))
  }

  /// An OAuth error (RFC 6749 §5.2) with Auth0's wording.
  static func refusal(
    _ status: Int, _ error: String, _ description: String, fields: [(name: String, value: String)] = []
  ) -> Reply {
    json(
      status, [("error", JSONText.string(error)), ("error_description", JSONText.string(description))], fields: fields)
  }
}
