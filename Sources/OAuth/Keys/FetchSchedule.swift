package import Basics

/// When the key set is fetched, as a value that takes the time: kept for `freshness`, fetched anew for an unknown key but
/// not within `cooldown`, and the old one held on to while the endpoint fails.
package struct FetchSchedule<Keys: Sendable>: Sendable {
  package static var freshness: Duration { .seconds(300) }
  package static var cooldown: Duration { .seconds(30) }
  private static var firstBackoff: Duration { .milliseconds(250) }

  package private(set) var current: Keys?
  package private(set) var fetchedAt: Instant?
  private var failures = 0
  /// No fetch before this.
  package private(set) var nextFetch: Instant?

  package init() {}

  /// Whether the last fetch failed: `current` may then lack a key that is published.
  package var isFailing: Bool { failures > 0 }

  package enum Step: Equatable {
    case fetch
    /// The set, or one that is newer than the token, cannot be had before.
    case wait(until: Instant)
    /// What is held decides.
    case settled
  }

  /// What to do before a token is checked. `isKnown` says whether `current` holds a key for it, `asked` when the token was
  /// asked for: a set read before that may lack a key that has just come into use.
  package func step(isKnown: Bool, asked: Instant, now: Instant) -> Step {
    if wantsFetch(isKnown: isKnown, now: now) { return .fetch }
    if isKnown { return .settled }
    if !isFailing, isRead(since: asked) { return .settled }
    return .wait(until: nextFetch ?? now)
  }

  /// Whether a set is held that was read at `instant` or later; nil: at any time.
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

  package mutating func fetched(_ keys: Keys, now: Instant) {
    current = keys
    fetchedAt = now
    failures = 0
    nextFetch = now.advanced(by: Self.cooldown)
  }

  /// Doubling from a quarter of a second up to the cooldown.
  package mutating func failed(now: Instant) {
    failures += 1
    let backoff = Self.firstBackoff * (1 << min(failures - 1, 10))
    nextFetch = now.advanced(by: min(backoff, Self.cooldown))
  }
}
