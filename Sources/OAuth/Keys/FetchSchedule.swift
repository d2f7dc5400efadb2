package import Basics

/// When to fetch what a server publishes, as a value that takes the time. What was fetched is fresh for `freshness` and
/// kept while the server fails. For an unknown key it is fetched anew: soon for a token that the server has just issued
/// itself, and not within `cooldown` for one that anybody may have made up.
package struct FetchSchedule<Value: Sendable>: Sendable {
  /// What the keys are wanted for.
  package enum Need: Sendable {
    /// A token that the server itself has answered with, asked for at this instant.
    case issued(Instant)
    /// A token from elsewhere. One that is known to be made at an instant is not judged by what was read before.
    case shown(since: Instant? = nil)
  }

  package static var freshness: Duration { .seconds(300) }
  package static var cooldown: Duration { .seconds(30) }
  /// The longest wait that the server may ask for.
  package static var longestWait: Duration { .seconds(3600) }
  /// A server may sign with a key so long before all its machines publish it.
  private static var publication: Duration { .seconds(1) }
  private static var backoff: Backoff { Backoff(first: .milliseconds(250), longest: cooldown) }

  package private(set) var current: Value?
  /// When `current` was asked for.
  package private(set) var fetchedAt: Instant?
  private var failures = 0
  /// While it fails: no fetch before this.
  private var retryAt: Instant?
  /// Fetches in a row that came within the cooldown, and when the last of them was.
  private var hurried: (count: Int, at: Instant)?

  package init() {}

  /// Whether the last fetch failed: `current` may then lack a key that is published.
  package var isFailing: Bool { failures > 0 }

  package enum Step: Equatable {
    case fetch
    /// The value, or one that is newer than the token, cannot be had before.
    case wait(until: Instant)
    /// What is held decides.
    case settled
  }

  /// What to do before a token is checked; `isKnown` says whether `current` holds a key for it.
  package func step(_ need: Need, isKnown: Bool, now: Instant) -> Step {
    if wantsFetch(need, isKnown: isKnown, now: now) { return .fetch }
    if isKnown || !isFailing && isRecent(for: need) { return .settled }
    return .wait(until: max(now, nextFetch(need) ?? now))
  }

  /// Whether what is held was read late enough to know a token's key.
  private func isRecent(for need: Need) -> Bool {
    switch need {
    case .issued(let asked): isRead(since: asked.advanced(by: Self.publication))
    case .shown(let since): isRead(since: since)
    }
  }

  /// Whether a value is held that was asked for at `instant` or later; nil: at any time.
  package func isRead(since instant: Instant?) -> Bool {
    guard let fetchedAt else { return false }
    return instant.map { $0 <= fetchedAt } ?? true
  }

  /// Whether to fetch before a token is checked; `isKnown` says whether `current` holds a key for it.
  package func wantsFetch(_ need: Need = .shown(), isKnown: Bool, now: Instant) -> Bool {
    if isKnown, let fetchedAt, fetchedAt.duration(to: now) < Self.freshness { return false }
    if isFailing || !isKnown, let next = nextFetch(need), now < next { return false }
    if case .issued = need, !isKnown, !isFailing { return !isRecent(for: need) }
    return true
  }

  /// No fetch for an unknown key before this; nil: at once.
  package func nextFetch(_ need: Need = .shown()) -> Instant? {
    if isFailing { return retryAt }
    switch need {
    case .issued:
      let next = hurried.map { $0.at.advanced(by: Self.backoff.delay(after: $0.count + 1)) }
      return fetchedAt.map { max($0.advanced(by: Self.backoff.first), next ?? $0) }
    case .shown: return fetchedAt?.advanced(by: Self.cooldown)
    }
  }

  /// Whether to fetch though no token is to be checked, so that a revoked key is noticed. Where nothing was ever read,
  /// only if it `isNeeded`: tokens are held that its keys have signed.
  package func wantsPoll(isNeeded: Bool, now: Instant) -> Bool {
    (isNeeded || current != nil) && wantsFetch(isKnown: current != nil, now: now)
  }

  /// Takes what was asked for at `asked`.
  package mutating func fetched(_ value: Value, asked: Instant) {
    if let fetchedAt, fetchedAt.duration(to: asked) < Self.cooldown {
      let isInARow = hurried.map { $0.at.duration(to: asked) < Self.cooldown * 2 } ?? false
      hurried = (isInARow ? (hurried?.count ?? 0) + 1 : 1, asked)
    }
    current = value
    fetchedAt = asked
    failures = 0
    retryAt = nil
  }

  /// The server has failed at `now`, and perhaps said how long to wait.
  package mutating func failed(now: Instant, retryAfter: Duration? = nil) {
    failures += 1
    let told = min(retryAfter ?? .zero, Self.longestWait)
    retryAt = now.advanced(by: max(told, Self.backoff.delay(after: failures)))
  }
}
