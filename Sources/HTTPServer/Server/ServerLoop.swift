import IO

/// What the connections of one event loop share: the handler, the buffers, the limits.
package final class ServerLoop {
  enum Command: Sendable {
    case respond(DeferredResponse.Destination, Response)
    case verbatim(DeferredResponse.Destination, [UInt8], DeferredResponse.Ending)
    /// An address has other certificates now; whom they would not let in is out.
    case readmit(ListenerState, TLSContext)
    /// Take no more connections, finish the requests in flight, then end.
    case drain
    case stop
  }

  let loop: EventLoop
  let mailbox: Mailbox<Command>
  private let regularLimits: ConnectionLimits
  private let reserveLimits: ConnectionLimits
  let handler: any RequestHandler
  let request = Request()
  let writer: ResponseWriter
  /// Where a connection that holds no bytes reads.
  var scratch = ByteBuffer()
  let streamPool = HTTP2StreamPool()
  private var acceptors: [Acceptor] = []
  /// Connections of this loop.
  private var open = 0
  private(set) var isDraining = false

  init(loop: EventLoop, mailbox: Mailbox<Command>, limits: Limits, handler: any RequestHandler) throws {
    self.loop = loop
    self.mailbox = mailbox
    writer = ResponseWriter(request, mailbox: mailbox)
    regularLimits = ConnectionLimits(limits)
    // Room in reserve is small, so nobody may sit in it.
    var hasty = limits
    hasty.headTimeout = min(limits.headTimeout, .seconds(1))
    reserveLimits = ConnectionLimits(hasty)
    self.handler = handler
    try mailbox.attach(to: loop) { [unowned self] in receive($0) }
  }

  func listen(on listener: Listener, _ state: ListenerState) throws {
    acceptors.append(try Acceptor(listener, state, server: self))
  }

  /// Counts a new connection; nil when there is no room at all.
  func admit(_ listener: ListenerState) -> ListenerState.Admission? {
    guard let admission = listener.admit() else { return nil }
    open += 1
    return admission
  }

  func limits(of admission: ListenerState.Admission) -> ConnectionLimits {
    admission == .regular ? regularLimits : reserveLimits
  }

  func closed(_ listener: ListenerState, _ admission: ListenerState.Admission, wasHTTP2: Bool = false) {
    listener.closed(admission, wasHTTP2: wasHTTP2)
    open -= 1
    endIfDrained()
  }

  private func receive(_ command: Command) {
    switch command {
    case .respond(let destination, let response):
      (loop.handler(of: destination.connection) as? Connection)?.respond(response, serial: destination.serial)
    case .verbatim(let destination, let bytes, let ending):
      (loop.handler(of: destination.connection) as? Connection)?
        .send(verbatim: bytes, serial: destination.serial, then: ending)
    case .readmit(let listener, let context):
      for case let connection as Connection in loop.handlers where connection.listener === listener {
        connection.readmit(by: context)
      }
    case .drain:
      isDraining = true
      for acceptor in acceptors { acceptor.finish() }
      acceptors.removeAll()
      for handler in loop.handlers { (handler as? Connection)?.drain() }
      endIfDrained()
    case .stop: loop.stop()
    }
  }

  private func endIfDrained() {
    if isDraining && open == 0 { loop.stop() }
  }
}
