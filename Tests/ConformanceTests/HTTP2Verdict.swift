import Basics
import IO
import TestSupport
import Testing

@testable import HTTPServer

/// Plays bytes into a `HTTP2Session`, in the given pieces, answering each request as soon as it is whole.
final class HTTP2Player {
  let session: HTTP2Session
  private(set) var now: Instant
  /// Requests as a handler sees them: method, path, body.
  private(set) var requests: [String] = []
  /// What was said, in short form; no SETTINGS, no WINDOW_UPDATE.
  private(set) var said: [String] = []
  /// Not answered until told.
  var defers = false
  var answerBytes = 2
  private var parser = RequestParser()
  private var output: [UInt8] = []

  init(limits: Limits = Limits()) throws {
    now = .now
    session = try HTTP2Session(limits: ConnectionLimits(limits), pool: HTTP2StreamPool(), now: now)
  }

  /// Lets time go by.
  func wait(_ duration: Duration) {
    now = now.advanced(by: duration)
    if now >= session.deadline, case .reject(let late) = session.deadlinePassed(now: now) {
      for (slot, rejection) in late { respond(slot, rejection.status) }
    }
    collect()
  }

  func play(_ bytes: [UInt8]) {
    session.receive(bytes.span, now: now)
    for slot in session.ready { advance(slot) }
    session.ready.removeAll()
    collect()
  }

  func play(_ frames: HTTP2Frame...) { play(frames.flatMap(\.bytes)) }

  private func advance(_ slot: Int) {
    guard let stream = session.streams[slot], [.headDone, .body, .whole].contains(stream.phase) else { return }
    do throws(Rejection) {
      guard try session.parse(stream, parser: &parser) else { return }
      requests.append(
        stream.request.bytes.withBytes { bytes in
          let body = parser.head.body.isEmpty ? "" : " [\(bytes.text(at: parser.head.body))]"
          let query = parser.head.query.map { "?" + bytes.text(at: $0) } ?? ""
          return "\(parser.head.method) \(bytes.text(at: parser.head.path))\(query)\(body)"
        })
      if defers { return session.deferred(stream) }
      respond(slot, 200)
    } catch {
      respond(slot, error.status)
    }
  }

  /// Gives the answer that was put off; nothing where the stream is gone.
  func answer(_ id: Int32) {
    if let slot = session.deferredSlot(id) {
      if session.streams[slot]?.phase == .orphaned { session.free(slot) } else { respond(slot, 200) }
    }
    collect()
  }

  private func respond(_ slot: Int, _ status: Int) {
    var body = ByteBuffer()
    body.append([UInt8](repeating: 0x61, count: answerBytes))
    let nothing: [UInt8] = []
    session.respond(
      slot, HTTP2Head(status, []), length: nil, date: nothing.span, requestID: nothing.span, body: &body)
  }

  private func collect() {
    var bytes = ByteBuffer()
    session.send(into: &bytes, limit: .max, now: now)
    output += bytes.withBytes { $0.array(at: 0..<$0.count) }
    while let frame = HTTP2Frame.take(from: &output) {
      switch frame.type {
      case 0: said.append("data \(frame.stream) \(frame.payload.count)\(frame.ends ? " end" : "")")
      case 1: said.append("\(frame.status ?? 0) \(frame.stream)\(frame.ends ? " end" : "")")
      case 3: said.append("reset \(frame.stream) \(frame.code ?? "")")
      case 6 where frame.flags == 1: said.append("pong")
      case 6: said.append("ping")
      case 7: said.append("goaway \(frame.code ?? "")")
      default: break
      }
    }
  }

  /// No more is read from this peer, and nothing more is said to it.
  var isOver: Bool { session.isFinished }
}

/// Frames behind the greeting, the rule they are about, and the right reaction.
struct HTTP2Case: CustomTestStringConvertible {
  let rule: String
  let frames: [HTTP2Frame]
  let said: [String]
  /// What is said where libnghttp2 knows the rule itself and tells nobody, as newer versions do.
  var saidByLibrary: [String]?
  var requests: [String] = []
  var isOver = false
  var testDescription: String { rule }

  /// One request, answered with 200.
  static func accepted(_ rule: String, _ request: String, _ frames: HTTP2Frame...) -> HTTP2Case {
    HTTP2Case(rule: rule, frames: frames, said: ["200 1", "data 1 2 end"], requests: [request])
  }

  /// The stream ends so, and the connection goes on.
  static func refused(
    _ rule: String, _ said: String..., byLibrary: String? = nil, frames: [HTTP2Frame]
  ) -> HTTP2Case {
    HTTP2Case(rule: rule, frames: frames, said: said, saidByLibrary: byLibrary.map { [$0] })
  }

  /// The connection ends.
  static func ended(_ rule: String, _ said: String..., frames: [HTTP2Frame]) -> HTTP2Case {
    HTTP2Case(rule: rule, frames: frames, said: said, isOver: true)
  }

  /// The verdict must not depend on how the bytes are split over reads.
  func check() throws {
    let bytes = HTTP2Frame.greeting + frames.flatMap(\.bytes)
    try check([bytes], "at once")
    try check(bytes.map { [$0] }, "a byte at a time")
  }

  private func check(_ pieces: [[UInt8]], _ how: Comment) throws {
    let player = try HTTP2Player()
    for piece in pieces { player.play(piece) }
    #expect(player.said == said || player.said == saidByLibrary, how)
    #expect(player.requests == requests, how)
    #expect(player.isOver == isOver, how)
    if isOver { return }
    // The connection is as good as before.
    player.play(.get(101, "/next"))
    #expect(player.requests.last == "get /next", how)
    #expect(player.said.suffix(2) == ["200 101", "data 101 2 end"], how)
  }
}
