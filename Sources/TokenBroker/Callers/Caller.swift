package import Clocks
import Synchronization

/// Somebody who may ask for tokens, and what they may have.
package final class Caller: Sendable {
  package let name: String
  package let audiences: AudienceSet
  /// The only scopes it may have; nil: whatever is granted.
  package let scopes: Set<String>?
  private let limit: RateLimit?

  /// `requestsPerMinute`: on average; as many may come at once after a quiet minute. nil: no limit.
  package init(name: String, audiences: AudienceSet, scopes: Set<String>? = nil, requestsPerMinute: Int? = nil) {
    self.name = name
    self.audiences = audiences
    self.scopes = scopes
    limit = requestsPerMinute.map { RateLimit(perMinute: $0) }
  }

  /// Counts a request; how long to wait if it is one too many, else nil.
  package func admit(now: Instant) -> Duration? { limit?.admit(now: now) }

  /// What to ask the tenant for where this caller asks for `scope`; nil where it asks for more than it may have.
  /// Both are lists separated by spaces, sorted; a caller that names none gets all it may have.
  package func scope(asked scope: String?) -> Scope {
    guard let scopes else { return .granted(scope) }
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

/// So many a minute, shared by all threads without a lock: the instant at which all that came would have been due, had they
/// come evenly, may be a minute ahead (the generic cell rate algorithm of ITU-T I.371).
package final class RateLimit: Sendable {
  private let interval: Int64
  private let due = Atomic<Int64>(0)
  private static let minute: Int64 = 60_000_000_000

  package init(perMinute: Int) {
    interval = Self.minute / Int64(max(1, perMinute))
  }

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
