/// A whole response. Content-Length, Date, Connection and X-Request-Id are added where it is written.
package struct Response: Sendable {
  package var status: Int
  /// What it is counted as, where the peer is told less than has happened.
  package var countedAs: Int?
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
    case 415: "Unsupported Media Type"
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

/// A response's status and fields rendered once, for many responses. What `ResponseWriter` adds is not in it.
package struct PreparedHead: Sendable {
  let status: Int
  /// As HTTP/1.1 has them; empty where they were rendered for HTTP/2 only.
  let http1: [UInt8]
  /// nil where they were rendered for HTTP/1 only.
  let http2: HTTP2Head?

  /// For every version of HTTP.
  package init(_ status: Int, _ fields: [(name: String, value: String)]) {
    self.status = status
    http1 = Self.http1Bytes(status, fields)
    http2 = HTTP2Head(status, fields)
  }

  /// For one response, and so for one version.
  init(_ response: Response, isHTTP2: Bool) {
    status = response.status
    http1 = isHTTP2 ? [] : Self.http1Bytes(response.status, response.fields)
    http2 = isHTTP2 ? HTTP2Head(response.status, response.fields) : nil
  }

  private static func http1Bytes(_ status: Int, _ fields: [(name: String, value: String)]) -> [UInt8] {
    var bytes = Array("HTTP/1.1 \(status) \(Response.reason(for: status))\r\n".utf8)
    for (name, value) in fields {
      bytes += name.utf8
      bytes += ": ".utf8
      bytes += value.utf8
      bytes += "\r\n".utf8
    }
    return bytes
  }
}
