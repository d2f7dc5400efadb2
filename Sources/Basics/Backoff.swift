/// How long to wait after so many failures in a row: `first`, doubling up to `longest`.
package struct Backoff: Sendable {
  package let first: Duration
  package let longest: Duration

  package init(first: Duration, longest: Duration) {
    self.first = first
    self.longest = longest
  }

  /// The wait after the failure that is number `failures` in a row, counted from one.
  package func delay(after failures: Int) -> Duration { min(first * (1 << min(max(failures, 1) - 1, 10)), longest) }

  /// The same, evenly spread from its share `least` to the whole ("full jitter"), so that those who failed together do
  /// not come back together. Draws one number.
  package func jitteredDelay(
    after failures: Int, least: Double = 0, using random: inout some RandomNumberGenerator
  ) -> Duration {
    delay(after: failures) * Double.random(in: least...1, using: &random)
  }

  /// The same, with the system's random numbers.
  package func jitteredDelay(after failures: Int) -> Duration { delay(after: failures) * Double.random(in: 0...1) }
}
