package import IO

/// What a server does with requests. One handler a loop, made and called on that loop only.
package protocol RequestHandler: AnyObject {
  /// Answers through `response` now, or takes `response.deferred()` and answers that from anywhere. `request` is valid
  /// during the call.
  func handle(_ request: Request, _ response: ResponseWriter)

  /// Whether the request is answered even beyond the limit on connections, from what is kept in reserve.
  func isProbe(_ request: Request) -> Bool

  /// What the server answers in the handler's place.
  func response(to rejection: Rejection, requestID: String) -> Response

  /// A TLS handshake has failed, before there was a request; `detail` is OpenSSL's reason, where it has one. `peer` is
  /// as for `refused`.
  func handshakeFailed(_ failure: TLSHandshakeFailure, _ detail: String?, from peer: () -> String)

  /// The server has answered so itself: the request was none, or beyond a limit, or in want of room. `peer` is whoever
  /// sent it, for people.
  func refused(_ rejection: Rejection, from peer: () -> String)
}

extension RequestHandler {
  package func isProbe(_ request: Request) -> Bool { false }

  /// The reason as plain text.
  package func response(to rejection: Rejection, requestID: String) -> Response {
    Response(
      rejection.status, fields: [("Content-Type", "text/plain"), ("Cache-Control", "no-store")],
      body: Array("\(rejection.reason)\n".utf8))
  }

  package func handshakeFailed(_ failure: TLSHandshakeFailure, _ detail: String?, from peer: () -> String) {}

  package func refused(_ rejection: Rejection, from peer: () -> String) {}
}
