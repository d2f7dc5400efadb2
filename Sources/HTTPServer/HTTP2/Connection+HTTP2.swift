import Basics
import IO

/// The HTTP/2 side of a connection: between its bytes, its `HTTP2Session` and the handler.
extension Connection {
  /// Goes over to HTTP/2, for good.
  func upgrade() {
    do throws(HTTP2Error) {
      let session = try HTTP2Session(
        limits: server.limits(of: admission), pool: server.streamPool, now: server.loop.now)
      self.session = session
      listener.upgraded()
      if server.isDraining { session.goAway(now: server.loop.now) }
    } catch {
      close()
    }
  }

  /// Works through what has been received: every request that it makes whole is answered in this turn, or put off.
  func process(_ session: HTTP2Session) {
    input.withBytes { session.receive($0, now: server.loop.now) }
    input.removeAll()
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
    while registration != nil && unsent.isEmpty && !outputDeadlines.isEnding {
      session.send(into: &server.writer.output, limit: Self.outputLimit, now: server.loop.now)
      if server.writer.output.isEmpty { break }
      flush()
    }
    // Where it is stuck, the end comes once that has been taken.
    if registration == nil || !unsent.isEmpty || outputDeadlines.isEnding { return }
    if session.isFinished {
      outputDeadlines.end(now: server.loop.now)
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
    let request = server.request
    do throws(Rejection) {
      guard try session.parse(stream, parser: &request.parser) else {
        if request.parser.head.expectsContinue { session.sendContinue(stream) }
        return
      }
      session.requests += 1
      stream.isBodyless = request.method == .head
      let delivery = ResponseWriter.Delivery(bodyless: stream.isBodyless, isHTTP2: true)
      let isAnswered = stream.request.bytes.withBytes { bytes in
        request.show(bytes) { handle(delivery, serial: UInt32(bitPattern: stream.id)) }
      }
      if isAnswered {
        respond(session, slot)
      } else {
        stream.requestID = request.id
        session.deferred(stream)
      }
    } catch {
      reject(session, slot, error)
    }
    let limit = session.limits.sizes.requestsPerConnection
    if session.requests >= limit || admission != .regular { session.goAway(now: server.loop.now) }
  }

  /// Gives the session what the writer holds.
  private func respond(_ session: HTTP2Session, _ slot: Int) {
    let writer = server.writer
    guard let (head, length) = writer.takeHTTP2Answer() else { return }
    let (line, date) = (writer.date.bytes, writer.date.value)
    session.respond(
      slot, head, length: length, date: line.span.extracting(date),
      requestID: server.request.identifier.bytes.span, body: &writer.output)
  }

  private func reject(_ session: HTTP2Session, _ slot: Int, _ rejection: Rejection) {
    guard let stream = session.streams[slot] else { return }
    begin(ResponseWriter.Delivery(bodyless: stream.isBodyless, isHTTP2: true), id: stream.requestID)
    answer(rejection, isNews: stream.phase != .deferred)
    respond(session, slot)
  }

  // MARK: Events

  func respond(_ response: Response, _ session: HTTP2Session, serial: UInt32) {
    guard registration != nil, let slot = session.deferredSlot(Int32(bitPattern: serial)) else { return }
    guard let stream = session.streams[slot], stream.phase == .deferred else {
      // Nobody waits for it any more, but it has been made.
      session.free(slot)
      return resume(session)
    }
    begin(ResponseWriter.Delivery(bodyless: stream.isBodyless, isHTTP2: true), id: stream.requestID)
    server.writer.send(response)
    respond(session, slot)
    resume(session)
  }

  func resume(_ session: HTTP2Session) {
    session.now = server.loop.now
    pump(session)
    settle()
  }

  func deadlinePassed(_ session: HTTP2Session) {
    let now = server.loop.now
    // Without even room for a GOAWAY there is nothing to say.
    if let write = outputDeadlines.write, now >= write { return close() }
    if now >= session.deadline {
      switch session.deadlinePassed(now: now) {
      case .nothing: break
      case .reject(let late): for (slot, rejection) in late { reject(session, slot, rejection) }
      case .end: if !unsent.isEmpty { return close() }
      }
    }
    pump(session)
    settle()
  }

  func drain(_ session: HTTP2Session) {
    session.goAway(now: server.loop.now)
    pump(session)
    settle()
  }
}
