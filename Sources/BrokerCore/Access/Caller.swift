package import Basics
import Synchronization

/// Somebody who may ask for tokens, and what they may have.
package final class Caller: Sendable {
  package let name: String
  package let audiences: AudienceSet
  /// The only scopes it may have; nil: whatever is granted.
  package let scopes: Set<String>?
  /// nil: it may ask as often as it likes.
  package let limit: RateLimit?

  package init(name: String, audiences: AudienceSet, scopes: Set<String>? = nil, limit: RateLimit? = nil) {
    self.name = name
    self.audiences = audiences
    self.scopes = scopes
    self.limit = limit
  }

  /// Counts a request; how long to wait if it is one too many, else nil.
  package func admit(now: Instant) -> Duration? { limit?.admit(now: now) }

  /// What to ask the tenant for where this caller asks for `scope`, a list separated by spaces. A caller that names none
  /// gets all it may have, or what is usual for the audience if there is nothing that it may not.
  package func scope(asked scope: String?, usual: String? = nil) -> Scope {
    guard let scopes else { return .granted(scope ?? usual) }
    guard let scope else { return .granted(scopes.sorted().joined(separator: " ")) }
    let excess = scope.split(separator: " ").first { !scopes.contains(String($0)) }
    return excess.map { .refused(String($0)) } ?? .granted(scope)
  }

  package enum Scope: Equatable, Sendable {
    case granted(String?)
    /// The first scope that it may not have.
    case refused(String)
  }
}

/// So many a minute on average, and as many at once after a quiet minute. Shared by all threads without a lock: the instant at which all that came would have been due, had they
/// come evenly, may be a minute ahead (the generic cell rate algorithm of ITU-T I.371).
package final class RateLimit: Sendable {
  package let perMinute: Int
  private let interval: Int64
  private let due = Atomic<Int64>(0)
  private static let minute: Int64 = 60_000_000_000

  package init(perMinute: Int) {
    self.perMinute = perMinute
    interval = Self.minute / Int64(max(1, perMinute))
  }

  /// Nothing was counted lately.
  package func isIdle(now: Instant) -> Bool { due.load(ordering: .relaxed) <= now.nanoseconds }

  /// Counts one; how long to wait if it is one too many, else nil.
  package func admit(now: Instant) -> Duration? {
    var seen = due.load(ordering: .relaxed)
    while true {
      let next = max(seen, now.nanoseconds) + interval
      let excess = next - now.nanoseconds - Self.minute
      if excess > 0 { return .nanoseconds(excess) }
      let (exchanged, current) = due.compareExchange(expected: seen, desired: next, ordering: .relaxed)
      if exchanged { return nil }
      seen = current
    }
  }
}
