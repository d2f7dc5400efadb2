import Basics
import IO

/// One request and its answer on an HTTP/2 connection.
final class HTTP2Stream {
  enum Phase {
    /// The header block is arriving.
    case head
    /// The header is whole and has not been looked at.
    case headDone
    case body
    /// The request is whole; the handler is next.
    case whole
    /// The answer comes later.
    case deferred
    /// Reset by the peer while the answer was being made: it goes on counting until that is done.
    case orphaned
    /// The answer is given, or the stream is reset: what is left is for the peer to take.
    case answered
  }

  private(set) var id: Int32 = 0
  var phase = Phase.head
  var deadline = Instant.distantFuture
  /// The request as HTTP/1.1 would have it: header, then body.
  var request = RenderedRequest()
  /// What is left to send of the answer.
  var answer = ByteBuffer()
  /// The whole request has arrived.
  var isRemoteClosed = false
  /// Bytes of the peer's body that are received, and not yet given back to its flow-control windows.
  var unconsumed = 0
  /// Set while the answer is put off.
  var requestID: String?
  var isBodyless = false

  func open(_ id: Int32, deadline: Instant) {
    self.id = id
    self.deadline = deadline
    phase = .head
    isRemoteClosed = false
    unconsumed = 0
    requestID = nil
    isBodyless = false
    request.removeAll()
    answer.removeAll()
  }

  /// Gives back memory that an ordinary request and answer would not need.
  fileprivate func shrink() {
    request.shrink(to: HTTP2StreamPool.keptBytes)
    answer.removeAll()
    if answer.capacity > HTTP2StreamPool.keptBytes { answer.releaseIfEmpty() }
  }
}

/// Streams that are not in use, with their buffers, for all connections of one loop.
final class HTTP2StreamPool {
  private var spare: [HTTP2Stream] = []

  /// What a buffer may keep.
  fileprivate static let keptBytes = 8 * 1024
  private static let kept = 256

  func take() -> HTTP2Stream { spare.popLast() ?? HTTP2Stream() }

  func giveBack(_ stream: HTTP2Stream) {
    guard spare.count < Self.kept else { return }
    stream.shrink()
    spare.append(stream)
  }
}
