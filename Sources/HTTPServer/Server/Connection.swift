import Basics
import IO

/// One client's connection: moves bytes between its socket, `HTTP1StateMachine` or `HTTP2Session`, and the handler.
final class Connection: EventHandler {
  let server: ServerLoop
  private let stream: Stream
  let peer: PeerCredentials?
  /// Read once, before the first request.
  private(set) var certificate: PeerCertificate?
  /// Decides on the peer once the handshake is over.
  private var readmission: TLSContext?
  let binding: Int
  let admission: ConnectionCount.Admission
  /// Once HTTP/2 is spoken, this keeps only the time for writing and for the end.
  var machine: HTTP1StateMachine
  var session: HTTP2Session?
  private(set) var registration: EventLoop.Registration?
  /// Received and not yet consumed; empty, and without memory, between requests.
  var input = ByteBuffer()
  /// What the socket did not take at once.
  private(set) var unsent = ByteBuffer()
  private var interest: Readiness = .readable
  /// What reading and writing wait for: with TLS, either may have to wait for the other.
  private var readWaitsFor = Readiness.readable
  private var writeWaitsFor = Readiness.writable
  private(set) var peerHasEnded = false
  /// Counts requests, so that a late answer to one cannot become the answer to the next.
  private var serial: UInt32 = 0
  private var pending: Pending?
  /// When the loop will look at the deadline: never after it.
  private var alarm = Instant.distantFuture

  /// The request that waits for its answer.
  private struct Pending {
    let requestID: String
    let delivery: ResponseWriter.Delivery
  }

  private static let readSize = 16 * 1024
  /// Pipelined responses are written once they come to this much.
  static let outputLimit = 64 * 1024

  private init(
    _ stream: consuming Stream, from peer: PeerCredentials?, binding: Int, admission: ConnectionCount.Admission,
    server: ServerLoop
  ) {
    self.stream = stream
    self.peer = peer
    self.binding = binding
    self.admission = admission
    self.server = server
    machine = HTTP1StateMachine(limits: server.limits(of: admission), now: server.loop.now)
  }

  static func start(
    _ socket: consuming Descriptor, from peer: PeerCredentials?, binding: Int, admission: ConnectionCount.Admission,
    tls: TLSContext?, server: ServerLoop
  ) {
    guard let stream = try? Stream(socket, tls: tls) else { return server.closed(binding, admission) }
    let connection = Connection(stream, from: peer, binding: binding, admission: admission, server: server)
    guard let registration = try? server.loop.add(connection.stream.number, for: .readable, connection) else {
      return server.closed(binding, admission)
    }
    connection.registration = registration
    connection.setDeadline()
  }

  // MARK: Events

  func ready(_ readiness: Readiness) {
    if !unsent.isEmpty && !readiness.isDisjoint(with: writeWaitsFor) {
      flush()
      if unsent.isEmpty { proceed() }
    }
    if !readiness.isDisjoint(with: readWaitsFor) { read() }
    // Both directions are gone, so nobody is left to answer. Not before reading: a reset may hide behind data.
    if !readiness.isDisjoint(with: .broken) && !readiness.contains(.readable) { close() }
    settle()
  }

  func deadlinePassed() {
    if registration == nil { return }
    alarm = .distantFuture
    if let session, !machine.isEnding { return deadlinePassed(session) }
    if server.loop.now < machine.deadline { return setDeadline() }
    if unsent.isEmpty, let rejection = machine.timeoutRejection {
      reject(rejection)
      flush()
      settle()
    } else {
      close()
    }
  }

  /// Ends now if no request is under way; otherwise its response will be the last.
  func drain() {
    if let session { return drain(session) }
    if isDone && serial > 0 { return close() }
    machine.drain(now: server.loop.now)
    setDeadline()
  }

  /// The certificates of its address are others now: whom those would not let in is out, at once. Who is still shaking
  /// hands has yet to say who that is.
  func readmit(by context: TLSContext) {
    readmission = context
    if !stream.isShakingHands && !stream.isAdmitted(by: context) { close() }
  }

  /// Between requests, with nothing received or left to send.
  private var isDone: Bool { machine.isIdle && input.isEmpty && unsent.isEmpty }

  // MARK: Reading

  private func read() {
    if registration == nil { return }
    if machine.isEnding { return discard() }
    // One request at a time: what a peer sends ahead waits in its socket.
    if machine.isAnswering || !unsent.isEmpty { return }
    let borrows = input.isEmpty
    if borrows { swap(&input, &server.scratch) }
    var isBlocked = false
    repeat {
      var result = StreamResult.ended
      _ = unsafe input.append(upTo: Self.readSize) { room in
        result = unsafe stream.receive(into: room)
        if case .bytes(let count) = result { return count }
        return 0
      }
      switch result {
      case .bytes: process()
      case .blocked(let readiness):
        readWaitsFor = readiness
        isBlocked = true
      case .ended: end()
      case .failed: close()
      case .clearText:
        reject(.malformed("this port speaks TLS: ask it by https"))
        flush()
      }
    } while registration != nil && !isBlocked && stream.hasBuffered && !machine.isAnswering && !machine.isEnding
      && unsent.isEmpty
    if borrows {
      var rest = ByteBuffer()
      if !input.isEmpty { input.withBytes { rest.append($0) } }
      input.removeAll()
      swap(&input, &server.scratch)
      swap(&input, &rest)
    } else {
      input.releaseIfEmpty()
    }
  }

  /// The peer will send no more. It may still wait for an answer.
  private func end() {
    peerHasEnded = true
    if !isAnswering && unsent.isEmpty { close() }
  }

  private var isAnswering: Bool { session.map { $0.occupied > 0 } ?? machine.isAnswering }

  /// After the last response: reads to nowhere, so that closing does not reset the response away.
  private func discard() {
    var result = StreamResult.ended
    _ = unsafe server.scratch.append(upTo: Self.readSize) { room in
      result = unsafe stream.receive(into: room)
      return 0
    }
    switch result {
    case .bytes, .clearText: break
    case .blocked(let readiness): readWaitsFor = readiness
    case .ended: end()
    case .failed: close()
    }
  }

  // MARK: Requests

  /// Works through what has been received, then writes all answers at once.
  private func process() {
    if serial == 0 && session == nil && !greets() { return }
    if let session { return process(session) }
    server.writer.refresh(now: server.loop.now)
    while registration != nil && unsent.isEmpty && advance() {
      if server.writer.output.count > Self.outputLimit { flush() }
    }
    // What is stuck waits for the socket's event, after which the next request is taken up. Were it written here, and
    // all taken this time, nothing would take up that request.
    if unsent.isEmpty { flush() }
  }

  /// Finds out from a connection's first bytes what the peer speaks; false when it is too early to say.
  private func greets() -> Bool {
    if stream.isTLS {
      if let readmission, !stream.isAdmitted(by: readmission) {
        close()
        return false
      }
      if certificate == nil { certificate = stream.peerCertificate }
      if stream.speaksHTTP2 { upgrade() }
    } else {
      switch input.withBytes({ Preface.match($0) }) {
      case .none: break
      case .partial: return input.isEmpty
      case .whole: upgrade()
      }
    }
    return true
  }

  /// One step of the machine; false when it waits.
  private func advance() -> Bool {
    let now = server.loop.now
    switch input.withMutableBytes({ machine.step(&$0, parser: &server.parser, now: now) }) {
    case .wait:
      return false
    case .sendContinue:
      server.writer.output.append("HTTP/1.1 100 Continue\r\n\r\n")
      return false
    case .reject(let rejection):
      reject(rejection)
      return false
    case .request(let consumed):
      input.withBytes { handle(server.parser.head, $0) }
      input.consume(consumed)
      return !machine.isAnswering
    }
  }

  private func handle(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) {
    guard let registration else { return }
    serial &+= 1
    let isRegular = admission == .regular
    let keepAlive =
      head.keepAlive && isRegular && !machine.isLastRequest && !server.isDraining && !peerHasEnded
    let delivery = ResponseWriter.Delivery(
      bodyless: head.method == .head, keepAlive: keepAlive, announceKeepAlive: head.minorVersion == 0)
    let writer = server.writer
    let asker = ResponseWriter.Asker(connection: registration, serial: serial, binding: binding)
    writer.begin(head, bytes, from: peer, certificate, delivery: delivery, asker: asker)
    if isRegular || server.handler.isProbe(head, bytes) {
      server.handler.handle(head, bytes, writer)
    } else {
      writer.send(Problem(503, "overloaded", "the limit on connections is reached", retryAfter: 1))
      server.handler.refused(503)
    }
    switch writer.state {
    case .answered: machine.answered(keepAlive: keepAlive, now: server.loop.now)
    case .deferred: pending = Pending(requestID: writer.requestID, delivery: delivery)
    case .unanswered: preconditionFailure("the handler neither answered nor took the exchange")
    }
  }

  private func reject(_ rejection: Rejection) {
    let delivery = ResponseWriter.Delivery(bodyless: pending?.delivery.bodyless ?? false, keepAlive: false)
    server.writer.refresh(now: server.loop.now)
    server.writer.begin(requestID: pending?.requestID, delivery: delivery)
    server.writer.send(Problem(rejection))
    // Whoever answers too late knows of the request.
    if pending == nil { server.handler.refused(rejection.status) }
    pending = nil
    serial &+= 1
    input.removeAll()
    machine.answered(keepAlive: false, now: server.loop.now)
  }

  // MARK: Late answers

  func respond(_ response: Response, serial: UInt32) {
    if let session { return respond(response, session, serial: serial) }
    guard registration != nil, serial == self.serial, let pending else { return }
    self.pending = nil
    var delivery = pending.delivery
    delivery.keepAlive = delivery.keepAlive && !server.isDraining
    server.writer.refresh(now: server.loop.now)
    server.writer.begin(requestID: pending.requestID, delivery: delivery)
    server.writer.send(response)
    machine.answered(keepAlive: delivery.keepAlive, now: server.loop.now)
    resume()
  }

  func send(verbatim bytes: [UInt8], serial: UInt32, then ending: DeferredResponse.Ending) {
    if let session { return send(verbatim: ending, session, serial: serial) }
    guard registration != nil, serial == self.serial, pending != nil else { return }
    server.writer.output.append(bytes)
    switch ending {
    case .more: break
    case .reset:
      stream.resetOnClose()
      flush()
      return close()
    case .keep, .close:
      pending = nil
      machine.answered(keepAlive: ending == .keep, now: server.loop.now)
    }
    resume()
  }

  private func resume() {
    flush()
    proceed()
    settle()
  }

  /// Goes on with requests that arrived while one was answered or written.
  private func proceed() {
    if registration == nil || machine.isAnswering || machine.isEnding || !unsent.isEmpty { return }
    if let session { pump(session) } else if !input.isEmpty { process() }
    if registration == nil { return }
    if peerHasEnded && !isAnswering && unsent.isEmpty { return close() }
    if stream.hasBuffered { read() }
    input.releaseIfEmpty()
  }

  // MARK: Writing

  func flush() {
    if registration == nil { return server.writer.output.removeAll() }
    if unsent.isEmpty {
      write(&server.writer.output)
      if !server.writer.output.isEmpty {
        server.writer.output.withBytes { unsent.append($0) }
        server.writer.output.removeAll()
        machine.writeBlocked(now: server.loop.now)
      } else if machine.isEnding {
        finish()
      }
      return
    }
    server.writer.output.withBytes { unsent.append($0) }
    server.writer.output.removeAll()
    write(&unsent)
    if unsent.isEmpty {
      unsent.releaseIfEmpty()
      machine.writeResumed(now: server.loop.now)
      if machine.isEnding { finish() }
      if server.isDraining && session == nil && isDone { close() }
    }
  }

  /// Writes as much as the stream takes.
  private func write(_ bytes: inout ByteBuffer) {
    while !bytes.isEmpty {
      let result = bytes.withBytes { span in
        unsafe span.withUnsafeBytes { unsafe stream.send($0) }
      }
      switch result {
      case .bytes(let count): bytes.consume(count)
      case .blocked(let readiness): return writeWaitsFor = readiness
      case .ended, .failed, .clearText:
        bytes.removeAll()
        return close()
      }
    }
  }

  func finish() {
    if registration == nil { return }
    stream.endOutput()
    if peerHasEnded { close() }
  }

  // MARK: State

  /// Brings the loop's view up to date after anything has happened.
  func settle() {
    guard let registration else { return }
    // While one request is answered the next waits in the socket, where it costs this process nothing.
    let reads = !peerHasEnded && (machine.isEnding || !machine.isAnswering && unsent.isEmpty)
    var wanted = reads ? readWaitsFor : .nothing
    if !unsent.isEmpty { wanted.formUnion(writeWaitsFor) }
    if wanted != interest {
      interest = wanted
      guard (try? server.loop.modify(registration, for: wanted)) != nil else { return close() }
    }
    setDeadline()
  }

  func setDeadline() {
    var deadline = machine.deadline
    if let session, !machine.isEnding { deadline = unsent.isEmpty ? session.deadline : min(deadline, session.deadline) }
    // Each request moves the deadline on. That can wait until the alarm, and then is done once.
    guard let registration, deadline < alarm else { return }
    alarm = deadline
    server.loop.setDeadline(deadline, for: registration)
  }

  func close() {
    guard let registration else { return }
    self.registration = nil
    pending = nil
    // The loop and the server let go of this object here; it lives until the caller returns.
    server.loop.remove(registration)
    server.closed(binding, admission, wasHTTP2: session != nil)
  }
}
