import CNghttp2
import Basics
import IO

/// Streams between their frames and the handler.
extension HTTP2Session {
  /// Parses a header or a whole request by the rules of HTTP/1.1. True when the request is whole; `parser.head`
  /// describes it then. Throws `Rejection`.
  func parse(_ stream: HTTP2Stream, parser: inout RequestParser) throws(Rejection) -> Bool {
    if let rejection = stream.request.rejection { throw rejection }
    guard let headLength = stream.request.headLength else { throw .malformed("no header") }
    try stream.request.bytes.withBytes { bytes throws(Rejection) in
      try parser.parse(bytes, end: headLength, limits: limits.sizes)
    }
    if stream.phase != .whole {
      stream.phase = .body
      if case .length(let length) = parser.head.framing, length > limits.sizes.bodyBytes { throw .bodyTooLarge }
      return false
    }
    parser.place(body: headLength..<stream.request.bytes.count)
    stream.deadline = now.advanced(byNanoseconds: limits.requestTime)
    return true
  }

  /// The answer comes later.
  func deferred(_ stream: HTTP2Stream) {
    stream.phase = .deferred
    deadline = min(deadline, stream.deadline)
    forgetRequest(of: stream)
    giveBackWindow(of: stream)
  }

  /// Where the stream of this id waits for its answer, or would if it had not been reset.
  func deferredSlot(_ id: Int32) -> Int? {
    streams.firstIndex { $0?.id == id && ($0?.phase == .deferred || $0?.phase == .orphaned) }
  }

  /// Asks for the request again by HTTP/1.1 (RFC 9113 §7), on a stream that waits for its answer.
  func requireHTTP1(_ slot: Int) {
    guard let stream = streams[slot] else { return }
    if stream.phase == .orphaned { return free(slot) }
    stream.phase = .answered
    reset(stream.id, NGHTTP2_HTTP_1_1_REQUIRED.rawValue)
  }
}
