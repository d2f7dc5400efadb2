import Basics
import OAuth

/// What is remembered of a failure, so that the same question is not asked again too soon.
struct Failure {
  let error: TokenError
  /// Callers are told of it until then; afterwards one of them may try again.
  private(set) var until: Instant
  /// How many times in a row.
  let streak: Int

  /// Nobody repairs a refusal in a moment.
  private static let definite = Backoff(first: .seconds(60), longest: .seconds(600))
  private static let transient = Backoff(first: .milliseconds(250), longest: .seconds(30))

  /// What a caller is told at `now`.
  func told(at now: Instant) -> TokenError {
    var error = error
    error.retryAfter = now.duration(to: until)
    return error
  }

  /// The next caller may try again. It still counts as one of those in a row.
  mutating func end(at now: Instant) { until = min(until, now) }

  /// The failure that follows `previous`. `left` is how long the current token can still be served.
  init(
    _ error: TokenError, after previous: Failure?, left: Duration? = nil, now: Instant, random: inout SeededGenerator
  ) {
    self.error = error
    streak = (previous?.streak ?? 0) + 1
    var wait =
      error.cause.isTransient
      ? Self.transient.jitteredDelay(after: streak, least: 0.1, using: &random) : Self.definite.delay(after: streak)
    // Near the end of a token's life there is no time to wait for long: some more tries must fit in.
    if let left, left > .zero, error.cause.isTransient { wait = min(wait, max(left / 4, .milliseconds(50))) }
    until = now.advanced(by: max(wait, error.retryAfter ?? .zero))
  }
}
