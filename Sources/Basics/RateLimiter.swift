import Synchronization

/// How often something may happen: so many times at once after a quiet time, and at an even rate in the long run.
///
/// It remembers one instant: when all that came would have been due, had it come evenly, which may lie ahead by as much
/// as a burst is worth (the generic cell rate algorithm of ITU-T I.371).
package struct RateLimiter: Sendable {
  /// In nanoseconds, between two at an even rate.
  private let interval: Int64
  /// How far `due` may be ahead, in nanoseconds.
  private let window: Int64
  /// In nanoseconds, as an `Instant` counts them; 0 for long ago.
  fileprivate var due: Int64 = 0

  /// `burst` at once, and `perSecond` in the long run.
  package init(burst: Int, perSecond: Int) {
    interval = 1_000_000_000 / Int64(perSecond)
    window = Int64(burst) * interval
  }

  /// `burst` at once, and `perMinute` in the long run.
  package init(burst: Int, perMinute: Int) {
    interval = 60_000_000_000 / Int64(max(1, perMinute))
    window = Int64(burst) * interval
  }

  /// So many a minute on average, and as many at once after a quiet minute.
  package init(perMinute: Int) {
    window = 60_000_000_000
    interval = window / Int64(max(1, perMinute))
  }

  /// Counts one; how long to wait if it is one too many and not counted, else nil.
  package mutating func admit(now: Instant) -> Duration? {
    let next = max(due, now.nanoseconds) + interval
    let excess = next - now.nanoseconds - window
    if excess > 0 { return .nanoseconds(excess) }
    due = next
    return nil
  }

  /// Counts one, even if it is one too many: then it is made up for by what comes later.
  package mutating func charge(now: Instant) { due = max(due, now.nanoseconds) + interval }

  /// How long to wait until one more would be admitted; nil: it would be now.
  package func wait(now: Instant) -> Duration? {
    var copy = self
    return copy.admit(now: now)
  }

  /// Takes back what was counted, or what has been earned otherwise; no more than a burst is ever saved up.
  package mutating func give(_ count: Int) { due = max(0, due - Int64(count) * interval) }

  /// Whether a whole burst is allowed: nothing was counted lately.
  package func isIdle(now: Instant) -> Bool { due <= now.nanoseconds }
}

/// A `RateLimiter` that threads share without a lock.
package final class SharedRateLimiter: Sendable {
  package let perMinute: Int
  private let unused: RateLimiter
  private let due = Atomic<Int64>(0)

  /// As for `RateLimiter`.
  package init(perMinute: Int) {
    self.perMinute = perMinute
    unused = RateLimiter(perMinute: perMinute)
  }

  /// Counts one; how long to wait if it is one too many and not counted, else nil.
  package func admit(now: Instant) -> Duration? {
    var limiter = unused
    var seen = due.load(ordering: .relaxed)
    while true {
      limiter.due = seen
      if let wait = limiter.admit(now: now) { return wait }
      let (exchanged, current) = due.compareExchange(expected: seen, desired: limiter.due, ordering: .relaxed)
      if exchanged { return nil }
      seen = current
    }
  }
}
