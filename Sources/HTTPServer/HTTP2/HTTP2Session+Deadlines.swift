import CNghttp2
import Basics

/// The deadlines of an HTTP/2 connection and of its streams, each absolute from its start.
extension HTTP2Session {
  /// What a stream is told whose time is over, or what becomes of the connection.
  enum Expiry {
    case nothing
    /// These streams are to be answered so.
    case reject([(slot: Int, Rejection)])
    /// The connection has said its last.
    case end
  }

  /// Looks at every deadline, which is seldom: `deadline` is met only by who is late, and by who has been idle.
  func deadlinePassed(now: Instant) -> Expiry {
    self.now = now
    if let settingsDeadline, now >= settingsDeadline {
      terminate(NGHTTP2_SETTINGS_TIMEOUT.rawValue)
      return .end
    }
    if let drainDeadline, now >= drainDeadline { finishGoingAway() }
    if occupied == 0 && now >= idleDeadline {
      terminate(NGHTTP2_NO_ERROR.rawValue)
      return .end
    }
    var late: [(slot: Int, Rejection)] = []
    for (slot, stream) in streams.enumerated() {
      guard let stream, now >= stream.deadline else { continue }
      switch stream.phase {
      case .head:
        // Nothing else can be said until the block of fields is whole, and that may be never.
        terminate(NGHTTP2_ENHANCE_YOUR_CALM.rawValue)
        return .end
      case .headDone, .body, .whole: late.append((slot, .timeout))
      case .deferred: late.append((slot, .noAnswer))
      case .orphaned: free(slot)
      case .answered:
        // A peer that takes nothing keeps what was made for it in memory.
        terminate(NGHTTP2_ENHANCE_YOUR_CALM.rawValue)
        return .end
      }
    }
    setDeadline()
    return late.isEmpty ? .nothing : .reject(late)
  }

  var idleDeadline: Instant { idleSince.advanced(byNanoseconds: isFresh ? limits.headTime : limits.idleTime) }

  private func setDeadline() {
    deadline = settingsDeadline ?? .distantFuture
    if let drainDeadline { deadline = min(deadline, drainDeadline) }
    if occupied == 0 { deadline = min(deadline, idleDeadline) }
    for case let stream? in streams where stream.deadline > now { deadline = min(deadline, stream.deadline) }
  }
}
