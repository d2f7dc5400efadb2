/// A whole response. Content-Length, Date, Connection and X-Request-Id are added where it is written.
package struct Response: Sendable {
  package var status: Int
  package var fields: [(name: String, value: String)]
  package var body: [UInt8]

  package init(_ status: Int, fields: [(name: String, value: String)] = [], body: [UInt8] = []) {
    self.status = status
    self.fields = fields
    self.body = body
  }

  /// The header up to, and without, the fields that are added where it is written.
  var head: [UInt8] {
    var head = Array("HTTP/1.1 \(status) \(Self.reason(for: status))\r\n".utf8)
    for (name, value) in fields { head += Array("\(name): \(value)\r\n".utf8) }
    // A 204 has no body, and so no length (RFC 9110 §8.6).
    if status != 204 { head += Array("Content-Length: \(body.count)\r\n".utf8) }
    return head
  }

  package static func reason(for status: Int) -> String {
    switch status {
    case 200: "OK"
    case 201: "Created"
    case 204: "No Content"
    case 302: "Found"
    case 307: "Temporary Redirect"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 406: "Not Acceptable"
    case 408: "Request Timeout"
    case 413: "Content Too Large"
    case 414: "URI Too Long"
    case 417: "Expectation Failed"
    case 429: "Too Many Requests"
    case 431: "Request Header Fields Too Large"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 502: "Bad Gateway"
    case 503: "Service Unavailable"
    case 504: "Gateway Timeout"
    case 505: "HTTP Version Not Supported"
    default: "Unknown"
    }
  }
}

/// A response rendered once and written many times.
package struct PreparedResponse: Sendable {
  let status: Int
  let head: [UInt8]
  let body: [UInt8]

  package init(_ response: Response) {
    status = response.status
    head = response.head
    body = response.body
  }
}
