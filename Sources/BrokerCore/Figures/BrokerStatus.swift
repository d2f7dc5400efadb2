package import Basics
package import OAuth

/// What the broker holds, does and remembers, for those who look after it.
package struct BrokerStatus: Sendable {
  package var figures: BrokerFigures
  package var keys: [KeyStatus]
  package var clients: [UpstreamID: ClientStatus]
}

/// What is known of one key.
package struct KeyStatus: Sendable {
  package enum Fetch: Sendable { case none, loading, queued, running }

  package let key: TokenKey
  /// The token that is held.
  package let token: CachedToken?
  package let isPrefetched: Bool
  /// It has yielded a token since the start: it is not made up.
  package let isProven: Bool
  /// How a new token is being got.
  package let fetch: Fetch
  /// When the token is to be replaced; nil if that is not before somebody asks for it.
  package let nextRefresh: Instant?
  /// Answers that cost no mint, beyond those of the event loops.
  package let hits: Int
  /// What a caller who needs a new token is told now, and when to come back; nil if the tenant would be asked.
  package let refusal: TokenError?
  /// The last failure, even if it is over.
  package let lastFailure: PastFailure?
  /// Failures in a row.
  package let failures: Int
}

/// What one client may ask of its tenant.
package struct ClientStatus: Sendable {
  /// Why the tenant is not asked.
  package enum Cause: String, Sendable { case limit, refusal, fault }

  package struct Block: Sendable {
    package let cause: Cause
    package let error: TokenError
    /// From then on one request shows whether it is over.
    package let until: Instant
    /// What was asked for last in vain.
    package let key: TokenKey
  }

  /// The allotment of a calendar month.
  package struct Budget: Sendable, Equatable {
    /// In UTC, counted from the beginning of year 0.
    package let month: Int
    /// How many tokens may be minted.
    package let limit: Int
    /// The part of it that is kept for callers who would otherwise have no token.
    package let reserve: Int
    package let used: Int
    /// By all brokers of a fleet, as they count in their store; else by this process since its start.
    package var isOfFleet = false

    package var remaining: Int { max(0, limit - used) }
  }

  package let block: Block?
  /// Organizations that have reached a limit of their own.
  package let limitedOrganizations: Int
  package let inFlight: Int
  package let queued: Int
  /// Until then little is left of a quota.
  package let scarceUntil: Instant?
  package let budget: Budget?
}

extension TokenCache {
  package func keyStatuses(now: Instant) -> [KeyStatus] {
    entries.map { key, entry in
      let isPrefetched = prefetched.contains(key)
      let token = entry.servableToken(now)
      return KeyStatus(
        key: key, token: token, isPrefetched: isPrefetched, isProven: !entry.isUnproven,
        fetch: entry.stage,
        nextRefresh: token.flatMap { $0.isInUse || isPrefetched ? nextRefresh(entry, $0) : nil }, hits: entry.hits,
        refusal: refusal(entry, now), lastFailure: entry.lastFailure, failures: entry.failure?.streak ?? 0)
    }
  }

  func budget(of client: UpstreamID) -> ClientStatus.Budget? { clients[client]?.gate.budget }

  /// The allotments of clients that have any, by the clients' names; of those that have taken the name of `retired`
  /// ones, their own.
  func budgets(without retired: Set<UpstreamID>) -> [String: ClientStatus.Budget] {
    let current = clients.filter { !retired.contains($0.key) }.compactMap { id, client in
      client.gate.budget.map { (id.name, $0) }
    }
    return Dictionary(current) { $1 }
  }

  package func clientStatuses(now: Instant) -> [UpstreamID: ClientStatus] {
    clients.mapValues { $0.gate.status(queued: $0.queue.count, now: now) }
  }
}
