import Basics
import IO
import TestSupport

@testable import HTTPServer

extension FuzzTarget {
  /// What a client sends behind its greeting.
  static let http2 = FuzzTarget(name: "http2") { bytes in
    let whole = try HTTP2Play(of: [bytes[...]])
    for split in Splits.of(bytes) {
      let played = try HTTP2Play(of: split)
      for (id, request) in whole.requests {
        // What comes behind a request may do away with it, but only where both are received together.
        let other = played.requests[id]
        try promise("\(id) is the same request: \(request) \(other ?? "")", other.map { $0 == request } ?? true)
        try promise("\(id) is not lost: \(request)", other != nil || played.isCut)
      }
    }
  }
}

/// A session played to its end: every third request is answered late, and then the peer says no more.
private struct HTTP2Play {
  /// By stream.
  var requests: [Int32: String] = [:]
  /// It has come to an end before its bytes, so that later requests are not looked at.
  private(set) var isCut = false
  private let session: HTTP2Session
  private var now = Instant(nanoseconds: 1_000_000_000_000)
  /// Its parser is used.
  private let asked = Request()
  private var output: [UInt8] = []
  /// What was said on each stream: nothing, a header, all of it.
  private var said: [Int: Answer] = [:]

  private enum Answer {
    case begun, ended
  }

  init(of pieces: [ArraySlice<UInt8>]) throws {
    var limits = Limits()
    limits.headBytes = 512
    limits.requestLineBytes = 256
    limits.bodyBytes = 256
    session = try HTTP2Session(limits: ConnectionLimits(limits), pool: HTTP2StreamPool(), now: now)
    try receive(HTTP2Frame.greeting[...])
    for piece in pieces { try receive(piece) }
    for id in requests.keys.sorted() {
      guard let slot = session.deferredSlot(id) else { continue }
      if session.streams[slot]?.phase == .orphaned { session.free(slot) } else { respond(slot, 200, bodyBytes: 2) }
    }
    try send()
    isCut = session.isFinished || session.isGoingAway
    try wait()
  }

  private mutating func receive(_ bytes: ArraySlice<UInt8>) throws {
    if session.isFinished { return }
    session.receive(bytes.span, now: now)
    for slot in session.ready { try advance(slot) }
    session.ready.removeAll()
    try send()
  }

  private mutating func advance(_ slot: Int) throws {
    guard let stream = session.streams[slot], [.headDone, .body, .whole].contains(stream.phase) else { return }
    if stream.phase == .body && stream.request.rejection == nil { return }
    do throws(Rejection) {
      guard try session.parse(stream, parser: &asked.parser) else { return }
    } catch {
      return respond(slot, error.status, bodyBytes: 2)
    }
    let (id, path, request) = stream.request.bytes.withBytes { bytes in
      let fields = asked.parser.head.fields.map { "\(bytes.text(at: $0.name)): \(bytes.text(at: $0.value))" }
      let body = bytes.array(at: asked.body)
      return (stream.id, bytes.text(at: asked.path), "\(bytes.text(at: 0..<asked.path.upperBound)) \(fields) \(body)")
    }
    try promise("a request is whole once", requests.updateValue(request, forKey: id) == nil)
    if id % 3 == 0 { return session.deferred(stream) }
    respond(slot, 200, bodyBytes: path.hasPrefix("/b") ? 100_000 : 2)
  }

  private func respond(_ slot: Int, _ status: Int, bodyBytes: Int) {
    var body = ByteBuffer()
    body.append([UInt8](repeating: 0x61, count: bodyBytes))
    let nothing: [UInt8] = []
    session.respond(
      slot, HTTP2Head(status, []), length: nil, date: nothing.span, requestID: nothing.span, body: &body)
  }

  private mutating func send() throws {
    var bytes = ByteBuffer()
    session.send(into: &bytes, limit: .max, now: now)
    output += bytes.withBytes { $0.array(at: 0..<$0.count) }
    while let frame = HTTP2Frame.take(from: &output) { try check(frame) }
    try promise("frames are whole", output.isEmpty)
    let streams = session.streams.compactMap(\.self)
    try promise("streams are counted", session.occupied == streams.count)
    try promise("there are no more of them than are allowed", streams.count <= HTTP2Limits.streams)
    let held = streams.reduce(0) { $0 + $1.request.bytes.count }
    try promise("what is held is counted: \(session.heldBytes) \(held)", session.heldBytes == held)
  }

  private mutating func check(_ frame: HTTP2Frame) throws {
    switch frame.type {
    case 0, 1:
      try promise("answers are on the client's streams", frame.stream % 2 == 1)
      try promise("nothing follows an answer on \(frame.stream)", said[frame.stream] != .ended)
      try promise("a body follows a header", frame.type == 1 || said[frame.stream] == .begun)
      if frame.status != 100 { said[frame.stream] = frame.ends ? .ended : .begun }
    case 3: said[frame.stream] = .ended
    case 4, 6, 7, 8: break
    default: throw BrokenPromise(description: "a frame of type \(frame.type) is none that a server sends here")
    }
  }

  /// The peer says no more: it is let go, within the time that its requests and its silence have.
  private mutating func wait() throws {
    let start = now
    for _ in 0..<4 * HTTP2Limits.streams {
      if session.isFinished { return }
      try promise("there is a deadline ahead", session.deadline > now && session.deadline < .distantFuture)
      now = session.deadline
      switch session.deadlinePassed(now: now) {
      case .nothing: break
      case .reject(let late): for (slot, rejection) in late { respond(slot, rejection.status, bodyBytes: 2) }
      case .end: return try send()
      }
      try send()
      try promise("it does not take forever", start.duration(to: now) < .seconds(200))
    }
    throw BrokenPromise(description: "deadlines come to an end")
  }
}
