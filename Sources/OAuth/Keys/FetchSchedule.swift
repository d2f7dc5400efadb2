package import Basics

/// When to fetch what a server publishes, as a value that takes the time. What was fetched is fresh for `freshness` and
/// kept while the server fails; for an unknown key it is fetched anew, but not again within `cooldown`.
package struct FetchSchedule<Value: Sendable>: Sendable {
  package static var freshness: Duration { .seconds(300) }
  package static var cooldown: Duration { .seconds(30) }
  private static var backoff: Backoff { Backoff(first: .milliseconds(250), longest: cooldown) }

  package private(set) var current: Value?
  package private(set) var fetchedAt: Instant?
  private var failures = 0
  /// No fetch before this.
  package private(set) var nextFetch: Instant?

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

  /// What to do before a token is checked. `isKnown` says whether `current` holds a key for it, `asked` when the token
  /// was asked for: a key set read before that may lack a key that has just come into use.
  package func step(isKnown: Bool, asked: Instant, now: Instant) -> Step {
    if wantsFetch(isKnown: isKnown, now: now) { return .fetch }
    if isKnown || !isFailing && isRead(since: asked) { return .settled }
    return .wait(until: nextFetch ?? now)
  }

  /// Whether a value is held that was read at `instant` or later; nil: at any time.
  package func isRead(since instant: Instant?) -> Bool {
    guard let fetchedAt else { return false }
    return instant.map { $0 <= fetchedAt } ?? true
  }

  /// Whether to fetch before a token is checked; `isKnown` says whether `current` holds a key for it.
  package func wantsFetch(isKnown: Bool, now: Instant) -> Bool {
    if let nextFetch, now < nextFetch { return false }
    guard isKnown, let fetchedAt else { return true }
    return fetchedAt.duration(to: now) >= Self.freshness
  }

  /// Whether to fetch though no token is to be checked, so that a revoked key is noticed. Where nothing was ever read,
  /// only if it `isNeeded`: tokens are held that its keys have signed.
  package func wantsPoll(isNeeded: Bool, now: Instant) -> Bool {
    (isNeeded || current != nil) && wantsFetch(isKnown: current != nil, now: now)
  }

  package mutating func fetched(_ value: Value, now: Instant) {
    current = value
    fetchedAt = now
    failures = 0
    nextFetch = now.advanced(by: Self.cooldown)
  }

  package mutating func failed(now: Instant) {
    failures += 1
    nextFetch = now.advanced(by: Self.backoff.delay(after: failures))
  }
}
