import Clocks

/// When the key set is fetched, as a value that takes the time: kept for `freshness`, fetched anew for an unknown key but
/// not within `cooldown`, and the old one held on to while the endpoint fails.
struct KeySetCache {
  static let freshness = Duration.seconds(300)
  static let cooldown = Duration.seconds(30)
  private static let firstBackoff = Duration.milliseconds(250)

  private(set) var current: KeySet?
  private var fetchedAt: Instant?
  private var failures = 0
  /// No fetch before this.
  private(set) var nextFetch: Instant?

  /// Whether the last fetch failed: `current` may then lack a key that is published.
  var isFailing: Bool { failures > 0 }

  /// Whether to fetch before a token is checked; `isKnown` says whether `current` holds a key for it.
  func wantsFetch(isKnown: Bool, now: Instant) -> Bool {
    if let nextFetch, now < nextFetch { return false }
    guard isKnown, let fetchedAt else { return true }
    return fetchedAt.duration(to: now) >= Self.freshness
  }

  mutating func fetched(_ keys: KeySet, now: Instant) {
    current = keys
    fetchedAt = now
    failures = 0
    nextFetch = now.advanced(by: Self.cooldown)
  }

  /// Doubling from a quarter of a second up to the cooldown.
  mutating func failed(now: Instant) {
    failures += 1
    let backoff = Self.firstBackoff * (1 << min(failures - 1, 10))
    nextFetch = now.advanced(by: min(backoff, Self.cooldown))
  }
}
