internal import Glibc

/// The time of day, which tokens are dated in and which may be stepped: read only to relate a date to monotonic time.
package enum WallClock {
  /// Unix time in seconds, with their fraction.
  package static var now: Double {
    var time = timespec()
    unsafe _ = clock_gettime(CLOCK_REALTIME, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  /// By how much it is ahead of monotonic time, in seconds: this changes only when it is set.
  package static var offset: Double { now - Double(Instant.now.nanoseconds) / 1e9 }

  /// The calendar month in UTC, counted from the beginning of year 0.
  package static var month: Int { UTCDate(Int(now)).monthCount }
}
