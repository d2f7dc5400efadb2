package import Basics
package import OAuth

/// What is remembered of a failure, so that the same question is not asked again too soon.
package struct Failure {
  let error: TokenError
  /// Callers are told of it until then; afterwards one of them may try again.
  let until: Instant
  /// How many times in a row.
  let streak: Int

  /// What a caller is told at `now`.
  func told(at now: Instant) -> TokenError {
    var error = error
    error.retryAfter = now.duration(to: until)
    return error
  }

  /// The failure that follows `previous`. `left` is how long the current token can still be served.
  init(
    _ error: TokenError, after previous: Failure?, left: Duration? = nil, now: Instant, random: inout SeededGenerator
  ) {
    self.error = error
    streak = (previous?.streak ?? 0) + 1
    var wait = error.cause.isTransient ? Backoff.passing(streak, &random) : Backoff.definite(streak)
    // Near the end of a token's life there is no time for patience: some more tries must fit in.
    if let left, left > .zero, error.cause.isTransient { wait = min(wait, max(left / 4, .milliseconds(50))) }
    until = now.advanced(by: max(wait, error.retryAfter ?? .zero))
  }
}

/// What last went wrong for a key or a client, also when it is over. An object, because most have none.
package final class PastFailure: Sendable {
  package let error: TokenError
  package let at: Instant

  package init(_ error: TokenError, at instant: Instant) {
    self.error = error
    at = instant
  }
}

/// How long to wait after so many failures in a row.
enum Backoff {
  /// Nobody repairs a refusal in a moment: a minute, doubling to ten.
  static func definite(_ streak: Int) -> Duration {
    min(.seconds(60) * (1 << min(streak - 1, 10)), .seconds(600))
  }

  /// Up to a quarter of a second, doubling to half a minute, evenly spread from nearly nothing ("full jitter"), so that
  /// those who failed together do not come back together.
  static func passing(_ streak: Int, _ random: inout SeededGenerator) -> Duration {
    let longest = min(Duration.milliseconds(250) * (1 << min(streak - 1, 10)), .seconds(30))
    return longest * Double.random(in: 0.1...1, using: &random)
  }
}
