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
  /// Of each binding: what crowds one does not crowd the others.
  private var open: [Capacity] = []
  private let capacity: Capacity
  private(set) var isDraining = false

  init(
    loop: EventLoop, mailbox: Mailbox<Command>, limits: Limits, capacity: Capacity, handler: any RequestHandler
  ) throws {
    self.loop = loop
    self.mailbox = mailbox
    writer = ResponseWriter(mailbox: mailbox)
    self.limits = limits
    self.capacity = capacity
    self.handler = handler
    try mailbox.attach(to: loop) { [unowned self] in receive($0) }
  }

  func listen(on listener: Listener, binding: Int, tls: TLSContext?) throws {
    open.append(Capacity(regular: 0, reserve: 0))
    acceptors.append(try Acceptor(listener, binding: binding, tls: tls, server: self))
  }

  /// How many connections one loop may have.
  struct Capacity {
    var regular: Int
    var reserve: Int
  }

  enum Admission {
    case regular
    /// Beyond the limit: probes are answered, all else is told so.
    case reserve
  }

  /// Counts a new connection; nil when there is no room at all.
  func admit(_ binding: Int) -> Admission? {
    if open[binding].regular < capacity.regular {
      open[binding].regular += 1
      return .regular
    }
    guard open[binding].reserve < capacity.reserve else { return nil }
    open[binding].reserve += 1
    return .reserve
  }

  func closed(_ binding: Int, _ admission: Admission) {
    switch admission {
    case .regular: open[binding].regular -= 1
    case .reserve: open[binding].reserve -= 1
    }
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
    if isDraining && open.allSatisfy({ $0.regular + $0.reserve == 0 }) { loop.stop() }
  }
}
