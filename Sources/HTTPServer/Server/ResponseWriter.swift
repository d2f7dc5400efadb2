import Basics
package import IO

/// Where a handler puts the answer to the request at hand. One a loop, used again for each request.
package final class ResponseWriter {
  enum State {
    case unanswered, answered, deferred
  }

  /// Which of the server's bindings the request came in by: its index in `Server.init`.
  package var binding: Int { asker?.binding ?? 0 }
  /// Who asks, where the request came in by a Unix socket; nil for TCP.
  package private(set) var peer: PeerCredentials?
  /// Who asks, where that was proven with a certificate in the TLS handshake.
  package private(set) var certificate: PeerCertificate?
  /// The request came in by HTTP/2.
  package var isHTTP2: Bool { delivery.isHTTP2 }
  private(set) var state = State.unanswered
  /// The status of the answer given now; nil while there is none.
  package private(set) var status: Int?
  /// Responses not yet given to the socket, of one connection at a time.
  var output = ByteBuffer()

  /// The answer given now to an HTTP/2 request; its body is in `output`.
  private(set) var second: (head: HTTP2Head, length: Int?)?

  private(set) var date = DateLine()
  private var ids = RequestIDSequence()
  private var callersID: [UInt8] = []
  private var delivery = Delivery()
  private let mailbox: Mailbox<ServerLoop.Command>
  /// Whose request it is; nil for an answer to something that is no request.
  private var asker: Asker?

  struct Asker {
    let connection: EventLoop.Registration
    let serial: UInt32
    let binding: Int
  }

  /// How the response goes out, as the request decides it.
  struct Delivery {
    var bodyless = false
    var keepAlive = true
    /// HTTP/1.0 keeps a connection only if told so.
    var announceKeepAlive = false
    var isHTTP2 = false
  }

  init(mailbox: Mailbox<ServerLoop.Command>) {
    self.mailbox = mailbox
  }

  func refresh(now: Instant) { date.refresh(now: now) }

  func begin(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, from peer: PeerCredentials?, _ certificate: PeerCertificate?,
    delivery: Delivery, asker: Asker
  ) {
    self.peer = peer
    self.certificate = certificate
    state = .unanswered
    status = nil
    self.delivery = delivery
    self.asker = asker
    callersID.removeAll(keepingCapacity: true)
    if let id = head.value(of: "x-request-id", in: bytes), RequestIDSequence.isSane(id, in: bytes) {
      for index in id { callersID.append(bytes[index]) }
    } else {
      ids.advance()
    }
  }

  /// Begins an answer to something that is no request, or whose request is long gone.
  func begin(requestID: String?, delivery: Delivery) {
    state = .unanswered
    status = nil
    self.delivery = delivery
    asker = nil
    peer = nil
    certificate = nil
    callersID.removeAll(keepingCapacity: true)
    if let requestID { callersID += Array(requestID.utf8) } else { ids.advance() }
  }

  /// The request's id: the caller's if it is sane, else a fresh one.
  package var requestID: String { String(decoding: idBytes, as: UTF8.self) }

  var idBytes: [UInt8] { callersID.isEmpty ? ids.bytes : callersID }

  /// Hands over the answer to an HTTP/2 request.
  func takeSecond() -> (head: HTTP2Head, length: Int?)? {
    defer { second = nil }
    return second
  }

  /// Answers now.
  package func send(_ response: Response) {
    let head = PreparedHead(response, isHTTP2: delivery.isHTTP2)
    send(head, length: response.body.count) { $0.append(response.body) }
  }

  package func send(_ problem: Problem) {
    send(problem.response(requestID: requestID))
  }

  /// Puts the answer off: it is given through the exchange, before the server's `Limits.requestTimeout`.
  package func later() -> DeferredResponse? {
    guard state == .unanswered, let asker else { return nil }
    state = .deferred
    return DeferredResponse(requestID: requestID, mailbox: mailbox, connection: asker.connection, serial: asker.serial)
  }

  /// Answers now, with a body of `length` bytes, which `append` writes.
  package func send(_ head: PreparedHead, length: Int, _ append: (inout ByteBuffer) -> Void) {
    guard state == .unanswered else { return }
    state = .answered
    status = head.status
    if delivery.isHTTP2 {
      second = head.second.map { ($0, head.status == 204 ? nil : length) }
      if !delivery.bodyless { append(&output) }
      return
    }
    output.append(head.bytes)
    // A 204 has no body, and so no length (RFC 9110 §8.6).
    if head.status != 204 {
      output.append("Content-Length: ")
      output.append(decimal: UInt64(length))
      output.append("\r\n")
    }
    output.append(date.bytes)
    output.append("X-Request-Id: ")
    output.append(idBytes)
    if !delivery.keepAlive {
      output.append("\r\nConnection: close")
    } else if delivery.announceKeepAlive {
      output.append("\r\nConnection: keep-alive")
    }
    output.append("\r\n\r\n")
    if !delivery.bodyless { append(&output) }
  }
}
