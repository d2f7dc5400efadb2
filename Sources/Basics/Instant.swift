internal import Glibc

/// A point in monotonic time, in nanoseconds since the machine started: what every deadline and lifetime is counted in.
///
/// It is the time of `CLOCK_BOOTTIME`, which no step of the wall clock touches, and which goes on while the machine is
/// suspended, as the life of a token does (clock_gettime(2)). `ContinuousClock.Instant` is the same time in 128 bits
/// and behind a resilient interface, which costs a request as much as parsing it.
@frozen package struct Instant: InstantProtocol {
  package var nanoseconds: Int64

  @inlinable package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  /// Later than anything that happens.
  @inlinable package static var distantFuture: Instant { Instant(nanoseconds: .max) }

  package static var now: Instant {
    var time = timespec()
    unsafe clock_gettime(CLOCK_BOOTTIME, &time)
    return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
  }

  package func advanced(by duration: Duration) -> Instant { advanced(byNanoseconds: duration.nanoseconds) }

  @inlinable package func advanced(byNanoseconds count: Int64) -> Instant {
    let (sum, overflows) = nanoseconds.addingReportingOverflow(count)
    return Instant(nanoseconds: overflows ? (count < 0 ? .min : .max) : sum)
  }

  package func duration(to other: Instant) -> Duration {
    .nanoseconds(other.nanoseconds.subtractingReportingOverflow(nanoseconds).partialValue)
  }

  @inlinable package static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }
}

extension Duration {
  /// In whole nanoseconds; the longest that can be told, some 292 years, for what is longer.
  package var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (product, overflows) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, overflowsToo) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
    return overflows || overflowsToo ? (seconds < 0 ? .min : .max) : sum
  }
}

extension Task where Success == Never, Failure == Never {
  /// Waits until `instant`, on the continuous clock, which is the one that `Instant` counts. Throws
  /// `CancellationError`.
  package static func sleep(until instant: Instant) async throws {
    try await sleep(for: Instant.now.duration(to: instant), clock: .continuous)
  }
}
