import Basics
package import IO

/// Where a handler puts the answer to the request at hand. One a loop, used again for each request.
package final class ResponseWriter {
  /// What the answer given now is counted as, mostly its status; nil while there is none.
  package private(set) var status: Int?
  private(set) var isDeferred = false
  /// The answer is given, or put off.
  var isAnswered: Bool { status != nil || isDeferred }
  /// Responses not yet given to the socket, of one connection at a time.
  var output = ByteBuffer()
  /// The answer given now to an HTTP/2 request; its body is in `output`.
  private var http2Answer: (head: HTTP2Head, length: Int?)?

  private(set) var date = DateLine()
  private var delivery = Delivery()
  private let request: Request
  private let mailbox: Mailbox<ServerLoop.Command>
  /// Whose request it is; nil for an answer to something that is no request, or that was put off.
  private var destination: DeferredResponse.Destination?

  /// How the response goes out, as the request decides it.
  struct Delivery {
    var bodyless = false
    var keepAlive = true
    /// HTTP/1.0 keeps a connection only if told so.
    var announceKeepAlive = false
    var isHTTP2 = false
  }

  /// Every answer carries the id that `request` has then.
  init(_ request: Request, mailbox: Mailbox<ServerLoop.Command>) {
    self.request = request
    self.mailbox = mailbox
  }

  /// Begins an answer; with a destination it may be put off.
  func begin(_ delivery: Delivery, now: Instant, to destination: DeferredResponse.Destination? = nil) {
    date.refresh(now: now)
    status = nil
    isDeferred = false
    self.delivery = delivery
    self.destination = destination
  }

  /// Hands over the answer to an HTTP/2 request.
  func takeHTTP2Answer() -> (head: HTTP2Head, length: Int?)? {
    defer { http2Answer = nil }
    return http2Answer
  }

  /// Answers now.
  package func send(_ response: Response) {
    let head = PreparedHead(response, isHTTP2: delivery.isHTTP2)
    send(head, length: response.body.count) { $0.append(response.body) }
    status = response.countedAs ?? status
  }

  /// Puts the answer off, which must not have been given: it is due before the server's `Limits.requestTimeout`.
  /// `answered` is told of its status then, on any thread.
  package func deferred(_ answered: @escaping @Sendable (Int) -> Void = { _ in }) -> DeferredResponse {
    guard !isAnswered, let destination else { preconditionFailure("the request has its answer") }
    isDeferred = true
    return DeferredResponse(
      requestID: request.id, mailbox: mailbox, destination: destination, answered: answered)
  }

  /// Answers now, with a body of `length` bytes, which `append` writes.
  package func send(_ head: PreparedHead, length: Int, _ append: (inout ByteBuffer) -> Void) {
    if isAnswered { return }
    status = head.status
    if delivery.isHTTP2 {
      http2Answer = head.http2.map { ($0, head.status == 204 ? nil : length) }
      if !delivery.bodyless { append(&output) }
      return
    }
    output.append(head.http1)
    // A 204 has no body, and so no length (RFC 9110 §8.6).
    if head.status != 204 {
      output.append("Content-Length: ")
      output.append(decimal: UInt64(length))
      output.append("\r\n")
    }
    date.write(to: &output)
    output.append("X-Request-Id: ")
    request.identifier.write(to: &output)
    if !delivery.keepAlive {
      output.append("\r\nConnection: close")
    } else if delivery.announceKeepAlive {
      output.append("\r\nConnection: keep-alive")
    }
    output.append("\r\n\r\n")
    if !delivery.bodyless { append(&output) }
  }
}
