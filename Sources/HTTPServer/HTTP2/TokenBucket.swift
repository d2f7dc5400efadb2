import Basics

/// How often something may happen: `burst` times at once, and `rate` times a second in the long run.
struct TokenBucket {
  private let burst: Int64
  /// Nanoseconds that bring one token.
  private let interval: Int64
  private var tokens: Int64
  private var filled: Instant

  init(burst: Int, rate: Int, now: Instant) {
    self.burst = Int64(burst)
    interval = 1_000_000_000 / Int64(rate)
    tokens = Int64(burst)
    filled = now
  }

  /// Takes one token; false when there is none.
  mutating func take(now: Instant) -> Bool {
    if tokens < burst {
      let gained = (now.nanoseconds - filled.nanoseconds) / interval
      tokens = min(burst, tokens + gained)
      filled = tokens == burst ? now : filled.advanced(byNanoseconds: gained * interval)
    } else {
      filled = now
    }
    if tokens == 0 { return false }
    tokens -= 1
    return true
  }

  /// Returns tokens that were earned.
  mutating func give(_ count: Int) { tokens = min(burst, tokens + Int64(count)) }
}
