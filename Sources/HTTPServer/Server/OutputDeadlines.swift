import Basics

/// The deadlines that every connection has, whatever is spoken on it: for the peer to take what is written, and to
/// close behind the last answer.
struct OutputDeadlines {
  private let limits: ConnectionLimits
  /// Set while the peer does not take what is written; runs from the first that it does not take.
  private(set) var write: Instant?
  /// Set once the last answer has been given.
  private var linger: Instant?

  init(limits: ConnectionLimits) { self.limits = limits }

  /// The last answer has been given; what still arrives is dropped.
  var isEnding: Bool { linger != nil }

  /// nil: none is set.
  var deadline: Instant? { write ?? linger }

  mutating func blocked(now: Instant) {
    if write == nil { write = now.advanced(byNanoseconds: limits.writeTime) }
  }

  /// The peer has taken all that was written.
  mutating func resumed(now: Instant) {
    write = nil
    if isEnding { end(now: now) }
  }

  mutating func end(now: Instant) { linger = now.advanced(byNanoseconds: limits.lingerTime) }
}
