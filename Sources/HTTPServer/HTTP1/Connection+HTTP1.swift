import Basics
import IO

/// The HTTP/1 side of a connection: between its bytes, its `HTTP1StateMachine` and the handler.
extension Connection {
  /// Works through what has been received: by HTTP/1, takes up request after request until one has to wait, then writes
  /// all answers at once.
  func process() {
    if session == nil && serial == 0 && !recognizesProtocol() { return }
    if let session { return process(session) }
    let now = server.loop.now
    requests: while registration != nil && unsent.isEmpty {
      switch input.withMutableBytes({ http1.step(&$0, parser: &server.request.parser, now: now) }) {
      case .wait: break requests
      case .skipLine:
        // HTTP/2's preface is looked for at the very beginning only.
        serial &+= 1
        input.consume(2)
      case .sendContinue: server.writer.output.append("HTTP/1.1 100 Continue\r\n\r\n")
      case .reject(let rejection): reject(rejection)
      case .request(let consumed):
        serial &+= 1
        let delivery = delivery(of: server.request)
        if input.withBytes({ bytes in server.request.show(bytes) { handle(delivery, serial: serial) } }) {
          http1.answered(keepAlive: delivery.keepAlive, now: now)
        } else {
          pending = Pending(requestID: server.request.id, delivery: delivery)
        }
        input.consume(consumed)
        if server.writer.output.count > Self.outputLimit { flush() }
      }
    }
    // What is stuck waits for the socket's event, after which the next request is taken up. Were it written here, and
    // all taken this time, nothing would take up that request.
    if unsent.isEmpty { flush() }
  }

  private func delivery(of request: Request) -> ResponseWriter.Delivery {
    let keepAlive =
      request.parser.head.keepAlive && admission == .regular && !http1.isLastRequest && !server.isDraining
      && !peerHasEnded
    return ResponseWriter.Delivery(
      bodyless: request.method == .head, keepAlive: keepAlive,
      announceKeepAlive: request.parser.head.minorVersion == 0)
  }

  func reject(_ rejection: Rejection) {
    let delivery = ResponseWriter.Delivery(bodyless: pending?.delivery.bodyless ?? false, keepAlive: false)
    begin(delivery, id: pending?.requestID)
    answer(rejection, isNews: pending == nil)
    pending = nil
    serial &+= 1
    input.removeAll()
    http1.answered(keepAlive: false, now: server.loop.now)
  }

  func respond(_ response: Response, serial: UInt32) {
    if let session { return respond(response, session, serial: serial) }
    guard registration != nil, serial == self.serial, var delivery = pending?.delivery else { return }
    delivery.keepAlive = delivery.keepAlive && !server.isDraining
    begin(delivery, id: pending?.requestID)
    server.writer.send(response)
    pending = nil
    http1.answered(keepAlive: delivery.keepAlive, now: server.loop.now)
    resume()
  }
}
