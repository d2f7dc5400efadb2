import CNghttp2
import Basics
import IO

/// What frames mean for requests, and for the budgets. All of this runs inside libnghttp2's callbacks.
extension HTTP2Session {
  private static let carryOn: Int32 = 0
  private static let resetStream = Int32(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
  private static let pause = Int32(NGHTTP2_ERR_PAUSE.rawValue)

  private func stream(_ id: Int32) -> (Int, HTTP2Stream)? {
    guard let slot = slot(of: id), let stream = streams[slot] else { return nil }
    return (slot, stream)
  }

  /// A refusal that the peer may try again (RFC 9113 §8.7).
  private func refuse(_ id: Int32) -> Int32 {
    reset(id, NGHTTP2_REFUSED_STREAM.rawValue)
    return Self.resetStream
  }

  // MARK: Requests

  func beganHeaders(of id: Int32, isRequest: Bool) -> Int32 {
    if !isRequest { return Self.carryOn }
    // libnghttp2 counts the streams that are open; those that were reset may still cost.
    if occupied >= HTTP2Limits.streams || heldBytes > HTTP2Limits.heldBytes { return refuse(id) }
    let slot = freeSlots.popLast() ?? streams.count
    if slot == streams.count { streams.append(nil) }
    let stream = pool.take()
    stream.open(id, deadline: now.advanced(byNanoseconds: limits.headTime))
    deadline = min(deadline, stream.deadline)
    streams[slot] = stream
    occupied += 1
    isFresh = false
    name(id, slot: slot)
    return Self.carryOn
  }

  func received(field name: Span<UInt8>, _ value: Span<UInt8>, of id: Int32, isRequest: Bool) -> Int32 {
    guard let (_, stream) = stream(id) else { return Self.carryOn }
    let before = stream.request.bytes.count
    // Trailers are counted and dropped, never merged into the header.
    stream.request.append(name, value, limits: limits.sizes, isKept: isRequest && stream.phase == .head)
    heldBytes += stream.request.bytes.count - before
    if stream.request.headBytes > HTTP2Limits.headFactor * limits.sizes.headBytes {
      calmDown()
      return Self.pause
    }
    return Self.carryOn
  }

  func receivedInvalidField(of id: Int32) {
    guard let (_, stream) = stream(id) else { return }
    reject(stream, .malformed("an invalid header field"))
  }

  private func reject(_ stream: HTTP2Stream, _ rejection: Rejection) {
    heldBytes -= stream.request.bytes.count
    stream.request.reject(rejection)
  }

  func finishedHeaders(of id: Int32, isRequest: Bool) {
    guard isRequest, let (slot, stream) = stream(id) else { return }
    let before = stream.request.bytes.count
    stream.request.finishHead(limits.sizes)
    heldBytes += stream.request.bytes.count - before
    stream.phase = .headDone
    stream.deadline = now.advanced(byNanoseconds: limits.bodyTime)
    deadline = min(deadline, stream.deadline)
    ready.append(slot)
  }

  func received(data: Span<UInt8>, of id: Int32) {
    guard let (slot, stream) = stream(id) else { return giveBackWindow(data.count) }
    stream.unconsumed += data.count
    if stream.phase == .answered { return giveBackWindow(of: stream) }
    let (before, wasGood) = (stream.request.bytes.count, stream.request.rejection == nil)
    stream.request.append(body: data, limits: limits.sizes)
    heldBytes += stream.request.bytes.count - before
    if wasGood && stream.request.rejection != nil && stream.phase == .body { ready.append(slot) }
  }

  func finishedRequest(of id: Int32) {
    guard let (slot, stream) = stream(id) else { return }
    stream.isRemoteClosed = true
    if stream.phase == .headDone {
      stream.phase = .whole
    } else if stream.phase == .body {
      stream.phase = .whole
      ready.append(slot)
    }
  }

  // MARK: Answers

  /// Moves what is next of the answer into `room`; nil where there is no such stream.
  func takeAnswer(_ slot: Int, into room: UnsafeMutableRawBufferPointer) -> (count: Int, isLast: Bool)? {
    guard let stream = streams[slot] else { return nil }
    let count = min(stream.answer.count, room.count)
    stream.answer.withBytes { bytes in
      unsafe bytes.withUnsafeBytes { unsafe room.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<count])) }
    }
    stream.answer.consume(count)
    // Every piece may be answered with an update of both windows, and Go's clients send one for every 4 KiB.
    controls.give(2 + count / 2048)
    return (count, stream.answer.isEmpty)
  }

  func sentAnswer(of id: Int32) {
    // Whoever lets requests be answered may give up as many.
    resets.give(1)
    // Whoever still sends a body for which there was an answer already need not (RFC 9113 §8.1).
    if let (_, stream) = stream(id), !stream.isRemoteClosed { reset(id, NGHTTP2_NO_ERROR.rawValue) }
  }

  func closed(_ id: Int32) {
    guard let (slot, stream) = stream(id) else { return }
    name(id, slot: nil)
    if stream.unconsumed > 0 {
      giveBackWindow(stream.unconsumed)
      stream.unconsumed = 0
    }
    if stream.phase == .deferred {
      stream.phase = .orphaned
    } else {
      free(slot)
    }
  }

  /// Lets go of a stream: it is over, and nothing goes on for it.
  func free(_ slot: Int) {
    guard let stream = streams[slot] else { return }
    streams[slot] = nil
    freeSlots.append(slot)
    occupied -= 1
    heldBytes -= stream.request.bytes.count
    pool.giveBack(stream)
    if occupied > 0 { return }
    idleSince = now
    deadline = min(deadline, idleDeadline)
  }

  // MARK: What libnghttp2 ignores

  /// A frame's own header has arrived.
  func beganFrame(_ type: UInt32, of id: Int32) {
    countContinuation(type == NGHTTP2_CONTINUATION.rawValue)
    switch type {
    case NGHTTP2_PRIORITY.rawValue:
      // Skipped, and so not received in the sense of the callback for that.
      countControl()
      if id == 0 { fail(NGHTTP2_PROTOCOL_ERROR.rawValue) }
    case NGHTTP2_HEADERS.rawValue: if !mayHaveHeaders(id) { fail(NGHTTP2_PROTOCOL_ERROR.rawValue) }
    default: break
    }
  }

  /// A stream begins behind all others (RFC 9113 §5.1.1). Behind that it may have trailers while it is open, and for a
  /// while after it was reset or not taken here, of which the peer learns later.
  private func mayHaveHeaders(_ id: Int32) -> Bool {
    if id > newestStream {
      newestStream = id
      return true
    }
    return unsafe isGoingAway || resetStreams.contains(id) || nghttp2_session_find_stream(session, id) != nil
  }

  /// Remembers a stream that was reset, among the last of them: twice as many as the budget of faults allows at once.
  func noteReset(of id: Int32) {
    if resetStreams.count >= 2 * HTTP2Limits.faults.burst { resetStreams.removeFirst() }
    resetStreams.append(id)
  }

  // MARK: Budgets

  private func countContinuation(_ isOne: Bool) {
    continuations = isOne ? continuations + 1 : 0
    if continuations > HTTP2Limits.continuations { calmDown() }
  }

  func countReset() { if resets.admit(now: now) != nil { calmDown() } }
  func countFault() { if faults.admit(now: now) != nil { calmDown() } }
  func countControl() { if controls.admit(now: now) != nil { calmDown() } }
}
