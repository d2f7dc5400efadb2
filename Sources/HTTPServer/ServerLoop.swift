import Sockets

/// What the connections of one event loop share: the handler, the buffers, the limits.
package final class ServerLoop {
  enum Command: Sendable {
    case respond(EventLoop.Registration, UInt32, Response)
    case verbatim(EventLoop.Registration, UInt32, [UInt8], Exchange.Ending)
    /// Take no more connections, finish the requests in flight, then end.
    case drain
    case stop
  }

  let loop: EventLoop
  let mailbox: Mailbox<Command>
  let limits: Limits
  let handler: any RequestHandler
  let writer: ResponseWriter
  var parser = RequestParser()
  /// Where a connection that holds no bytes reads.
  var scratch = ByteBuffer()
  private var acceptors: [Acceptor] = []
  private var connections = 0
  private let connectionLimit: Int
  private(set) var isDraining = false

  init(
    loop: EventLoop, mailbox: Mailbox<Command>, limits: Limits, connectionLimit: Int, handler: any RequestHandler
  ) throws {
    self.loop = loop
    self.mailbox = mailbox
    writer = ResponseWriter(mailbox: mailbox)
    self.limits = limits
    self.connectionLimit = connectionLimit
    self.handler = handler
    try mailbox.attach(to: loop) { [unowned self] in receive($0) }
  }

  func listen(on listener: Listener, binding: Int, tls: TLSContext?) throws {
    acceptors.append(try Acceptor(listener, binding: binding, tls: tls, server: self))
  }

  func opened() -> Bool {
    if connections == connectionLimit { return false }
    connections += 1
    return true
  }

  func closed() {
    connections -= 1
    endIfDrained()
  }

  private func receive(_ command: Command) {
    switch command {
    case .respond(let registration, let serial, let response):
      (loop.handler(of: registration) as? Connection)?.respond(response, serial: serial)
    case .verbatim(let registration, let serial, let bytes, let ending):
      (loop.handler(of: registration) as? Connection)?.send(verbatim: bytes, serial: serial, then: ending)
    case .drain:
      isDraining = true
      for acceptor in acceptors { acceptor.finish() }
      acceptors.removeAll()
      for handler in loop.handlers { (handler as? Connection)?.drain() }
      endIfDrained()
    case .stop:
      loop.stop()
    }
  }

  private func endIfDrained() {
    if isDraining && connections == 0 { loop.stop() }
  }
}
