import Basics
import OAuth

/// How many requests of one client may be in flight at once: few at first, and more while the tenant bears them.
///
/// Each token that comes while as many are in flight as may be makes room for one more, as in TCP's slow start (RFC
/// 5681 §3.1), so that the room doubles in the time of an answer. An answer that takes twice as long as the quickest
/// says that the tenant is busy enough, and a limit, a fault or a timeout takes the room back to what it was at first.
struct FlightWindow {
  /// What is known of the tenant is forgotten when it has answered nothing for so long.
  private static let memory = Duration.seconds(60)

  private var first: Int
  private var most: Int
  private(set) var size: Int
  private var quickest: Duration?
  private var answeredAt: Instant
  /// What was sent before says nothing of what the tenant bears since.
  private var startedAt: Instant

  init(rules: ClientGate.Rules, now: Instant) {
    (first, most) = (min(rules.firstConcurrent, rules.maxConcurrent), rules.maxConcurrent)
    size = first
    (answeredAt, startedAt) = (now, now)
  }

  mutating func configure(_ rules: ClientGate.Rules) {
    (first, most) = (min(rules.firstConcurrent, rules.maxConcurrent), rules.maxConcurrent)
    size = max(first, min(size, most))
  }

  /// A request goes out.
  mutating func sent(now: Instant) { if answeredAt.duration(to: now) > Self.memory { startAnew(now) } }

  /// A token has come, `took` after it was asked for. `wasFull`: no other request could have gone out meanwhile.
  mutating func succeeded(took: Duration, wasFull: Bool, now: Instant) {
    answeredAt = now
    if startedAt.duration(to: now) < took { return }
    let quickest = min(quickest ?? took, took)
    self.quickest = quickest
    if wasFull, took <= quickest * 2 { size = min(size + 1, most) }
  }

  /// The tenant has answered with something else. What it says of one key says nothing of how much it bears.
  mutating func failed(_ cause: TokenError.Cause, now: Instant) {
    answeredAt = now
    switch cause {
    case .upstreamRateLimited, .upstreamGlitch, .upstreamUnavailable, .upstreamTimeout: startAnew(now)
    case .unknownAudience, .audienceNotGranted, .unknownOrganization, .invalidCaller, .brokerMisconfigured,
      .invalidUpstreamResponse, .tokenValidationFailed, .overloaded, .allowanceUsedUp:
      break
    }
  }

  private mutating func startAnew(_ now: Instant) { (size, quickest, startedAt) = (first, nil, now) }
}
