import Basics
import IO

/// The HTTP/1 side of a connection: between its bytes, its `HTTP1StateMachine` and the handler.
extension Connection {
  /// Takes up request after request until one has to wait, then writes all answers at once.
  func processHTTP1() {
    let now = server.loop.now
    server.writer.date.refresh(now: now)
    requests: while registration != nil && unsent.isEmpty {
      let step = input.withMutableBytes { bytes in
        spoken.withHTTP1 { $0.step(&bytes, parser: &server.request.parser, now: now) }
      }
      switch step {
      case nil, .wait: break requests
      case .sendContinue:
        server.writer.output.append("HTTP/1.1 100 Continue\r\n\r\n")
        break requests
      case .reject(let rejection):
        reject(rejection)
        break requests
      case .request(let consumed):
        input.withBytes { bytes in server.request.show(bytes) { handle() } }
        input.consume(consumed)
        if spoken.isBusy { break requests }
        if server.writer.output.count > Self.outputLimit { flush() }
      }
    }
    // What is stuck waits for the socket's event, after which the next request is taken up. Were it written here, and
    // all taken this time, nothing would take up that request.
    if unsent.isEmpty { flush() }
  }

  private func handle() {
    serial &+= 1
    let request = server.request
    let keepAlive =
      request.parser.head.keepAlive && admission == .regular && !spoken.isLastRequest && !server.isDraining
      && !peerHasEnded
    let delivery = ResponseWriter.Delivery(
      bodyless: request.method == .head, keepAlive: keepAlive,
      announceKeepAlive: request.parser.head.minorVersion == 0)
    handle(delivery, serial: serial)
    switch server.writer.state {
    case .answered: answered(keepAlive: keepAlive)
    case .deferred: pending = Pending(requestID: request.id, delivery: delivery)
    case .unanswered: preconditionFailure("the handler neither answered nor put the answer off")
    }
  }

  /// An answer is with the writer.
  func answered(keepAlive: Bool) {
    pending = nil
    let now = server.loop.now
    _ = spoken.withHTTP1 { $0.answered(keepAlive: keepAlive, now: now) }
    if !keepAlive { outputDeadlines.end(now: now) }
  }

  func reject(_ rejection: Rejection) {
    server.writer.date.refresh(now: server.loop.now)
    server.request.restore(id: pending?.requestID)
    server.writer.begin(ResponseWriter.Delivery(bodyless: pending?.delivery.bodyless ?? false, keepAlive: false))
    answer(rejection, isNews: pending == nil)
    serial &+= 1
    input.removeAll()
    answered(keepAlive: false)
  }

  /// The request of this number waits for its answer.
  func isWaiting(_ serial: UInt32) -> Bool { serial == self.serial && pending != nil }

  func respond(_ response: Response, serial: UInt32) {
    if let session = spoken.session { return respond(response, session, serial: serial) }
    guard registration != nil, isWaiting(serial), let pending else { return }
    var delivery = pending.delivery
    delivery.keepAlive = delivery.keepAlive && !server.isDraining
    server.writer.date.refresh(now: server.loop.now)
    server.request.restore(id: pending.requestID)
    server.writer.begin(delivery)
    server.writer.send(response)
    answered(keepAlive: delivery.keepAlive)
    resume()
  }

  func deadlinePassedOfHTTP1() {
    if server.loop.now < deadline { return setDeadline() }
    if unsent.isEmpty, let rejection = spoken.withHTTP1({ $0.timeoutRejection }) ?? nil {
      reject(rejection)
      flush()
      settle()
    } else {
      close()
    }
  }
}
