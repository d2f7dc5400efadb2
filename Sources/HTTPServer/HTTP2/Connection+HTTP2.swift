import Basics
import IO

/// The HTTP/2 side of a connection: between its bytes, its `HTTP2Session` and the handler.
extension Connection {
  /// Goes over to HTTP/2, for good.
  func upgrade() {
    do throws(HTTP2Error) {
      session = try HTTP2Session(limits: server.limits(of: admission), pool: server.streamPool, now: server.loop.now)
      server.upgraded(binding)
      if server.isDraining { session?.goAway(now: server.loop.now) }
    } catch {
      close()
    }
  }

  /// Works through what has been received: every request that it makes whole is answered in this turn, or put off.
  func process(_ session: HTTP2Session) {
    input.withBytes { session.receive($0, now: server.loop.now) }
    input.removeAll()
    server.writer.refresh(now: server.loop.now)
    var position = 0
    while position < session.ready.count {
      advance(session, session.ready[position])
      position += 1
    }
    session.ready.removeAll(keepingCapacity: true)
    pump(session)
  }

  /// Writes until there is nothing to write or the socket takes no more.
  func pump(_ session: HTTP2Session) {
    while registration != nil && unsent.isEmpty && !machine.isEnding {
      session.send(into: &server.writer.output, limit: Self.outputLimit, now: server.loop.now)
      if server.writer.output.isEmpty { break }
      flush()
    }
    // Where it is stuck, the end comes once that has been taken.
    if registration == nil || !unsent.isEmpty || machine.isEnding { return }
    if session.isFinished {
      machine.answered(keepAlive: false, now: server.loop.now)
      finish()
    } else if peerHasEnded && session.occupied == 0 {
      close()
    }
  }

  /// One step of a stream, like a connection's in HTTP/1.
  private func advance(_ session: HTTP2Session, _ slot: Int) {
    guard let stream = session.streams[slot] else { return }
    switch stream.phase {
    case .head, .deferred, .orphaned, .answered: return
    case .body where stream.request.rejection == nil: return
    case .headDone, .body, .whole: break
    }
    do throws(Rejection) {
      guard try session.parse(stream, parser: &server.parser) else {
        if server.parser.head.expectsContinue { session.sendContinue(stream) }
        return
      }
      session.requests += 1
      stream.isBodyless = server.parser.head.method == .head
      stream.request.bytes.withBytes { handle(stream, server.parser.head, $0) }
      switch server.writer.state {
      case .answered:
        respond(session, slot)
      case .deferred:
        stream.requestID = server.writer.requestID
        session.deferred(stream)
      case .unanswered: preconditionFailure("the handler neither answered nor took the exchange")
      }
    } catch {
      reject(session, slot, error)
    }
    let limit = session.limits.sizes.requestsPerConnection
    if session.requests >= limit || admission != .regular { session.goAway(now: server.loop.now) }
  }

  private func handle(_ stream: HTTP2Stream, _ head: borrowing RequestHead, _ bytes: Span<UInt8>) {
    guard let registration else { return }
    let writer = server.writer
    let asker = ResponseWriter.Asker(
      connection: registration, serial: UInt32(bitPattern: stream.id), binding: binding)
    let delivery = ResponseWriter.Delivery(bodyless: stream.isBodyless, isHTTP2: true)
    writer.begin(head, bytes, from: peer, certificate, delivery: delivery, asker: asker)
    if admission == .regular || server.handler.isProbe(head, bytes) {
      server.handler.handle(head, bytes, writer)
    } else {
      writer.send(Problem(503, "overloaded", "the limit on connections is reached", retryAfter: 1))
      server.handler.refused(503)
    }
  }

  /// Gives the session what the writer holds.
  private func respond(_ session: HTTP2Session, _ slot: Int) {
    let writer = server.writer
    guard let (head, length) = writer.takeSecond() else { return }
    let date = writer.date
    session.respond(
      slot, head, length: length, date: date.bytes.span.extracting(date.value), requestID: writer.idBytes.span,
      body: &writer.output)
  }

  private func reject(_ session: HTTP2Session, _ slot: Int, _ rejection: Rejection) {
    guard let stream = session.streams[slot] else { return }
    server.writer.refresh(now: server.loop.now)
    server.writer.begin(
      requestID: stream.requestID, delivery: ResponseWriter.Delivery(bodyless: stream.isBodyless, isHTTP2: true))
    server.writer.send(Problem(rejection))
    if stream.phase != .deferred { server.handler.refused(rejection.status) }
    respond(session, slot)
  }

  // MARK: Events

  func respond(_ response: Response, _ session: HTTP2Session, serial: UInt32) {
    guard registration != nil, let slot = session.deferredSlot(Int32(bitPattern: serial)) else { return }
    guard let stream = session.streams[slot], stream.phase == .deferred else {
      // Nobody waits for it any more, but it has been made.
      session.free(slot)
      return resumeSession(session)
    }
    server.writer.refresh(now: server.loop.now)
    server.writer.begin(
      requestID: stream.requestID, delivery: ResponseWriter.Delivery(bodyless: stream.isBodyless, isHTTP2: true))
    server.writer.send(response)
    respond(session, slot)
    resumeSession(session)
  }

  /// There is no saying anything verbatim between frames, only in HTTP/1.1.
  func send(verbatim ending: DeferredResponse.Ending, _ session: HTTP2Session, serial: UInt32) {
    guard registration != nil, let slot = session.deferredSlot(Int32(bitPattern: serial)) else { return }
    if case .more = ending { return }
    session.requireHTTP1(slot)
    resumeSession(session)
  }

  private func resumeSession(_ session: HTTP2Session) {
    session.now = server.loop.now
    pump(session)
    settle()
  }

  func deadlinePassed(_ session: HTTP2Session) {
    let now = server.loop.now
    // Without even room for a GOAWAY there is nothing to say.
    if !unsent.isEmpty && now >= machine.deadline { return close() }
    if now >= session.deadline {
      switch session.deadlinePassed(now: now) {
      case .nothing: break
      case .reject(let late): for (slot, rejection) in late { reject(session, slot, rejection) }
      case .end: if !unsent.isEmpty { return close() }
      }
    }
    pump(session)
    settle()
    setDeadline()
  }

  func drain(_ session: HTTP2Session) {
    session.goAway(now: server.loop.now)
    pump(session)
    settle()
  }
}
