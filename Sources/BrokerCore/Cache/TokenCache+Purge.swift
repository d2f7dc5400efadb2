package import Basics
import OAuth

/// What an operator has thrown away.
extension TokenCache {
  /// The keys that `isMeant` picks and something is known of, but for those that were thrown away so short a time ago
  /// that what they have is the freshest there is: nobody can make the broker mint on and on.
  package func purgeable(now: Instant, _ isMeant: (TokenKey) -> Bool) -> [TokenKey] {
    entries.values.filter { isMeant($0.key) && !isFresh($0, now) }.map(\.key)
  }

  /// Throws away the tokens of `keys`, and what is remembered of failures, as if nobody had asked yet. Who waits for a
  /// token that is under way is still given it; it is not kept.
  package mutating func purge(_ keys: [TokenKey], now: Instant) -> (purge: Purge, actions: [Action]) {
    var purge = Purge()
    for key in keys {
      guard var entry = entries.removeValue(forKey: key) else { continue }
      if entry.token != nil {
        purge.dropped += 1
        actions.append(.withdraw(key))
      }
      if case .running(_, isOutdated: false) = entry.fetch { purge.mints += 1 }
      entry.purged = .init(token: entry.mustBeNewerThan, at: now)
      entry.forget()
      reschedule(entry, now)
    }
    purge.mints += purge.dropped
    return (purge, advance(now: now))
  }

  /// Whether anything is known of the key.
  package func knows(_ key: TokenKey) -> Bool { entries[key] != nil }

  /// How many tokens are held of keys that were thrown away a short time ago.
  package func freshCount(now: Instant, _ isMeant: (TokenKey) -> Bool) -> Int {
    entries.values.count { isMeant($0.key) && $0.token != nil && isFresh($0, now) }
  }

  private func isFresh(_ entry: Entry, _ now: Instant) -> Bool {
    entry.purged.map { $0.at.duration(to: now) < rules.minRefreshInterval } ?? false
  }

  /// Until when it matters that the entry's token was thrown away; nil if none was.
  func purgeEnd(_ entry: Entry) -> Instant? {
    entry.purged.map { purged in
      max(purged.at.advanced(by: rules.minRefreshInterval), purged.token?.expiresAt ?? purged.at)
    }
  }
}

/// What came of throwing tokens away.
package struct Purge: Equatable, Sendable {
  /// Tokens that were held, and are no more.
  package var dropped = 0
  /// Tokens that stay, because their predecessors were thrown away a short time ago.
  package var kept = 0
  /// Tokens that the tenant is asked for because of it, at most: one for each key that is asked for again.
  package var mints = 0
  /// Whether the store let go of what it had; nil where there is none, or it is not asked.
  package var isStoreCleared: Bool?

  package init() {}
}
