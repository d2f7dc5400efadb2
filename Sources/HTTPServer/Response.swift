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

/// A status line and fields rendered once, for many responses. What `ResponseWriter` adds is not in it.
package struct PreparedHead: Sendable {
  let status: Int
  let bytes: [UInt8]

  package init(_ status: Int, _ fields: [(name: String, value: String)]) {
    self.status = status
    let lines = fields.map { "\($0.name): \($0.value)\r\n" }.joined()
    bytes = Array("HTTP/1.1 \(status) \(Response.reason(for: status))\r\n\(lines)".utf8)
  }
}
