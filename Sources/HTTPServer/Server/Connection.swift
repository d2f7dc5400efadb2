import Basics
import IO

/// One client's connection: moves bytes between its socket, what is spoken on it, and the handler.
final class Connection: EventHandler {
  let server: ServerLoop
  private let stream: Stream
  let peer: PeerCredentials?
  /// Read once, before the first request.
  private(set) var certificate: PeerCertificate?
  /// Decides on the peer once the handshake is over.
  private var readmission: TLSContext?
  let listener: ListenerState
  let admission: ListenerState.Admission
  var http1: HTTP1StateMachine
  /// Where the connection has gone over to HTTP/2, for good.
  var session: HTTP2Session?
  private(set) var registration: EventLoop.Registration?
  /// Received and not yet consumed; empty, and without memory, between requests.
  var input = ByteBuffer()
  /// What the socket did not take at once.
  private(set) var unsent = ByteBuffer()
  var outputDeadlines: OutputDeadlines
  private var interest: Readiness = .readable
  /// What reading and writing wait for: with TLS, either may have to wait for the other.
  private var readWaitsFor = Readiness.readable
  private var writeWaitsFor = Readiness.writable
  private(set) var peerHasEnded = false
  /// What has been read of the PROXY protocol's header; nil where none is to come, or it has been.
  private var proxyHeader: [UInt8]?
  /// Where the peer is: whom a proxy speaks for, or what was read once somebody wanted to know.
  private var knownPlace: PeerPlace?
  /// Counts what has come by HTTP/1, so that a late answer to a request cannot become the answer to the next.
  var serial: UInt32 = 0
  /// The request of HTTP/1 that waits for its answer.
  var pending: Pending?
  /// When the loop will look at the deadline: never after it.
  private var alarm = Instant.distantFuture

  struct Pending {
    let requestID: String
    let delivery: ResponseWriter.Delivery
  }

  private static let readSize = 16 * 1024
  /// Pipelined responses are written once they come to this much.
  static let outputLimit = 64 * 1024

  private init(
    _ stream: consuming Stream, from peer: PeerCredentials?, on listener: ListenerState,
    admission: ListenerState.Admission, server: ServerLoop
  ) {
    self.stream = stream
    self.peer = peer
    self.listener = listener
    self.admission = admission
    self.server = server
    if listener.proxies != nil { proxyHeader = [] }
    let limits = server.limits(of: admission)
    http1 = HTTP1StateMachine(limits: limits, now: server.loop.now)
    outputDeadlines = OutputDeadlines(limits: limits)
  }

  static func start(
    _ socket: consuming Descriptor, from peer: PeerCredentials?, on listener: ListenerState,
    admission: ListenerState.Admission, server: ServerLoop
  ) {
    guard let stream = try? Stream(socket, tls: listener.context) else { return server.closed(listener, admission) }
    let connection = Connection(stream, from: peer, on: listener, admission: admission, server: server)
    guard let registration = try? server.loop.add(connection.stream.number, for: .readable, connection) else {
      return server.closed(listener, admission)
    }
    connection.registration = registration
    // A client whose handshake fails is gone at once, and then the socket no longer tells where it was.
    if connection.stream.isTLS { _ = connection.place }
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
    if server.loop.now < deadline { return setDeadline() }
    if let session, !outputDeadlines.isEnding { return deadlinePassed(session) }
    guard session == nil, unsent.isEmpty, let rejection = http1.timeoutRejection else {
      noteHandshake(isLate: true)
      return close()
    }
    reject(rejection)
    flush()
    settle()
  }

  /// Ends now if no request is under way; otherwise its response will be the last.
  func drain() {
    if let session { return drain(session) }
    if isDone && serial > 0 { return close() }
    http1.drain(now: server.loop.now)
    setDeadline()
  }

  /// The certificates of its address are others now: whom those would not let in is out, at once. Who is still shaking
  /// hands has yet to say who that is.
  func readmit(by context: TLSContext) {
    readmission = context
    if !stream.isShakingHands && !stream.isAdmitted(by: context) { close() }
  }

  /// Between requests, with nothing received or left to send. HTTP/2 has an end of its own.
  private var isDone: Bool { session == nil && http1.isIdle && input.isEmpty && unsent.isEmpty }

  /// A request waits for its answer. By HTTP/1 it is the only one: what a peer sends ahead waits in its socket.
  private var isAnswering: Bool { session.map { $0.occupied > 0 } ?? http1.isAnswering }

  // MARK: Reading

  private func read() {
    if registration == nil { return }
    if outputDeadlines.isEnding { return discard() }
    if http1.isAnswering || !unsent.isEmpty { return }
    if proxyHeader != nil && !takeProxyHeader() { return }
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
      case .failed:
        noteHandshake()
        close()
      case .clearText:
        reject(.clearText)
        flush()
      }
    } while registration != nil && !isBlocked && stream.hasBuffered && !http1.isAnswering && !outputDeadlines.isEnding
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

  /// Tells the handler where what ends here is a TLS handshake.
  private func noteHandshake(isLate: Bool = false) {
    guard let failure = stream.handshakeFailure else { return }
    server.handler.handshakeFailed(isLate ? .timeout : failure, isLate ? nil : stream.tlsFailure) { place.name }
  }

  /// Reads what a proxy says ahead of all else; false where that is not whole, or the connection is at its end.
  private func takeProxyHeader() -> Bool {
    var held = proxyHeader ?? []
    switch stream.receiveProxyHeader(&held) {
    case .whole(let header):
      guard let address = stream.peerAddress, listener.proxies?.contains(where: { $0.contains(address) }) == true else {
        refuse(.unknownProxy)
        return false
      }
      if let source = header.source { knownPlace = PeerPlace(source) }
      proxyHeader = nil
      return true
    case .blocked(let readiness):
      readWaitsFor = readiness
      proxyHeader = held
    case .malformed: refuse(.noProxyHeader)
    case .ended: close()
    }
    return false
  }

  /// Ends a connection that is no proxy's, with an answer where it can be read.
  private func refuse(_ rejection: Rejection) {
    if stream.isTLS {
      server.handler.refused(rejection) { place.name }
      return close()
    }
    proxyHeader = nil
    reject(rejection)
    flush()
  }

  /// Where the peer is. Read once, for it takes system calls, and requests that are logged tell it each.
  var place: PeerPlace {
    if let knownPlace { return knownPlace }
    let place = PeerPlace(peer, stream.peerAddress)
    knownPlace = place
    return place
  }

  /// The peer will send no more. It may still wait for an answer.
  private func end() {
    peerHasEnded = true
    if !isAnswering && unsent.isEmpty { close() }
  }

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

  /// Finds out from a connection's first bytes what the peer speaks; false when it is too early to say.
  func recognizesProtocol() -> Bool {
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

  /// Has the request at hand answered or put off; true when it has its answer.
  func handle(_ delivery: ResponseWriter.Delivery, serial: UInt32) -> Bool {
    guard let registration else { return false }
    server.request.begin(on: self, isHTTP2: delivery.isHTTP2)
    server.writer.begin(
      delivery, now: server.loop.now, to: DeferredResponse.Destination(connection: registration, serial: serial))
    if admission == .regular || server.handler.isProbe(server.request) {
      server.handler.handle(server.request, server.writer)
    } else {
      answer(.overLimit, isNews: true)
    }
    precondition(server.writer.isAnswered, "the handler neither answered nor put the answer off")
    return !server.writer.isDeferred
  }

  /// Begins an answer to what was put off, and had this id, or never was a request.
  func begin(_ delivery: ResponseWriter.Delivery, id: String?) {
    server.request.restore(id: id)
    server.writer.begin(delivery, now: server.loop.now)
  }

  /// Answers in the handler's place. `isNews`: the handler does not know of the request, and cannot answer it too late.
  func answer(_ rejection: Rejection, isNews: Bool) {
    server.writer.send(server.handler.response(to: rejection, requestID: server.request.id))
    if isNews { server.handler.refused(rejection) { place.name } }
  }

  /// Goes on with requests that arrived while one was answered or written.
  private func proceed() {
    if registration == nil || http1.isAnswering || outputDeadlines.isEnding || !unsent.isEmpty { return }
    if let session { pump(session) } else if !input.isEmpty { process() }
    if registration == nil { return }
    if peerHasEnded && !isAnswering && unsent.isEmpty { return close() }
    if stream.hasBuffered { read() }
    input.releaseIfEmpty()
  }

  // MARK: Writing

  /// After an answer that came late.
  func resume() {
    flush()
    proceed()
    settle()
  }

  func flush() {
    if registration == nil { return server.writer.output.removeAll() }
    if http1.isOver && !outputDeadlines.isEnding { outputDeadlines.end(now: server.loop.now) }
    if unsent.isEmpty {
      write(&server.writer.output)
      if !server.writer.output.isEmpty {
        server.writer.output.withBytes { unsent.append($0) }
        server.writer.output.removeAll()
        outputDeadlines.blocked(now: server.loop.now)
      } else if outputDeadlines.isEnding {
        finish()
      }
      return
    }
    server.writer.output.withBytes { unsent.append($0) }
    server.writer.output.removeAll()
    write(&unsent)
    if unsent.isEmpty {
      unsent.releaseIfEmpty()
      outputDeadlines.resumed(now: server.loop.now)
      http1.resumed(now: server.loop.now)
      if outputDeadlines.isEnding { finish() }
      if server.isDraining && isDone { close() }
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

  /// The last has been written; the peer is to close, or has.
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
    let reads = !peerHasEnded && (outputDeadlines.isEnding || !http1.isAnswering && unsent.isEmpty)
    var wanted = reads ? readWaitsFor : .nothing
    if !unsent.isEmpty { wanted.formUnion(writeWaitsFor) }
    if wanted != interest {
      interest = wanted
      guard (try? server.loop.modify(registration, for: wanted)) != nil else { return close() }
    }
    setDeadline()
  }

  /// What is read, or answered, has no time of its own in HTTP/1 while the peer does not take what is written.
  var deadline: Instant {
    guard let output = outputDeadlines.deadline else { return session?.deadline ?? http1.deadline }
    guard let session, !outputDeadlines.isEnding else { return output }
    return min(output, session.deadline)
  }

  func setDeadline() {
    let deadline = deadline
    // Each request moves the deadline on. That can wait until the alarm, and then is done once.
    guard let registration, deadline < alarm else { return }
    alarm = deadline
    server.loop.setDeadline(deadline, for: registration)
  }

  /// Closes with a reset.
  func reset() {
    stream.resetOnClose()
    flush()
    close()
  }

  func close() {
    guard let registration else { return }
    self.registration = nil
    pending = nil
    // The loop and the server let go of this object here; it lives until the caller returns.
    server.loop.remove(registration)
    server.closed(listener, admission, wasHTTP2: session != nil)
  }
}
