package import Clocks
package import OAuth

/// Which token is held for which key, who waits for it and what is being fetched: a value that takes the time and
/// returns what to do. It knows no clock, no network and no task, so that a test can play any history through it.
package struct TokenCache {
  package typealias WaiterID = UInt64

  package struct Rules: Sendable {
    /// A token is not served with less life left than this, or than an eighth of its lifetime where that is less.
    package var minRemaining = Duration.seconds(30)
    /// A token younger than this is the freshest there is.
    package var minRefreshInterval = Duration.seconds(30)
    package var maxEntries = 100_000
    /// Requests waiting for fetches, over all keys.
    package var maxWaiters = 20_000

    package init() {}
  }

  package enum Action {
    /// Ask upstream for a token; `fetched` must follow, once.
    case fetch(TokenKey)
    case answer(WaiterID, Result<CachedToken, TokenError>)
    /// The current token of its key, for everyone who hands tokens out.
    case publish(CachedToken)
    /// The key's token was evicted.
    case withdraw(TokenKey)
  }

  private struct Entry {
    var token: CachedToken?
    var isFetching = false
    var waiters: [Waiter] = []
    // What is remembered of failures will stand here: until then each request after one asks upstream again.
  }

  private struct Waiter {
    let id: WaiterID
    let minTTL: Duration
    let deadline: Instant
  }

  private let rules: Rules
  private var entries: [TokenKey: Entry] = [:]
  private var waiterCount = 0

  package init(rules: Rules = Rules()) {
    self.rules = rules
  }

  package var count: Int { entries.count }

  /// A request for a token, to be answered by `deadline`.
  package mutating func request(
    _ key: TokenKey, _ demand: Demand, waiter: WaiterID, deadline: Instant, now: Instant
  ) -> [Action] {
    var entry = entries[key] ?? Entry()
    if let token = entry.token, token.isServable(at: now),
      demand.accepts(token, minRefreshInterval: rules.minRefreshInterval, now: now)
    {
      token.markUsed(at: now)
      return [.answer(waiter, .success(token))]
    }
    guard waiterCount < rules.maxWaiters else {
      return [.answer(waiter, .failure(.overloaded))]
    }
    waiterCount += 1
    entry.waiters.append(Waiter(id: waiter, minTTL: demand.minTTL, deadline: deadline))
    let starts = !entry.isFetching
    entry.isFetching = true
    entries[key] = entry
    return starts ? [.fetch(key)] : []
  }

  /// What a fetch came to. A failure leaves the current token as it is.
  package mutating func fetched(
    _ key: TokenKey, _ result: Result<MintedToken, TokenError>, now: Instant
  ) -> [Action] {
    guard var entry = entries[key], entry.isFetching else { return [] }
    let waiters = entry.waiters
    waiterCount -= waiters.count
    entry.waiters = []
    entry.isFetching = false

    var actions: [Action] = []
    let outcome = result.flatMap { minted in
      let token = CachedToken(key: key, minted: minted, rules: rules, now: now)
      return token.isServable(at: now) ? .success(token) : .failure(TokenError.expiredOnArrival)
    }
    if case .success(let token) = outcome {
      entry.token = token
      actions.append(.publish(token))
    }
    entries[key] = entry.token == nil ? nil : entry
    actions += waiters.map { .answer($0.id, Self.answer(to: $0, outcome, current: entry.token, now: now)) }
    return actions + evict()
  }

  /// A passing fault upstream is kept from a caller who wanted a newer token, as long as the current one will do.
  private static func answer(
    to waiter: Waiter, _ outcome: Result<CachedToken, TokenError>, current: CachedToken?, now: Instant
  ) -> Result<CachedToken, TokenError> {
    guard case .failure(let error) = outcome, error.code.isPassing, let current, current.isServable(at: now),
      now.duration(to: current.minted.expiresAt) >= waiter.minTTL
    else { return outcome }
    return .success(current)
  }

  /// Answers the waiters whose deadline has passed. Their fetch goes on, for the others and for the next.
  package mutating func expireWaiters(now: Instant) -> [Action] {
    var actions: [Action] = []
    for key in entries.keys {
      guard let waiters = entries[key]?.waiters, waiters.contains(where: { $0.deadline <= now }) else { continue }
      let late = waiters.filter { $0.deadline <= now }
      entries[key]?.waiters = waiters.filter { $0.deadline > now }
      waiterCount -= late.count
      actions += late.map { .answer($0.id, .failure(.timedOut)) }
    }
    return actions
  }

  /// When `expireWaiters` is due; nil when nobody waits.
  package var nextDeadline: Instant? {
    waiterCount == 0 ? nil : entries.values.lazy.flatMap(\.waiters).map(\.deadline).min()
  }

  /// Over the limit, the sixteenth part that was used longest ago goes: one at a time would mean a search each time.
  private mutating func evict() -> [Action] {
    guard entries.count > rules.maxEntries else { return [] }
    let idle = entries.filter { !$0.value.isFetching }
    let oldest = idle.sorted { ($0.value.token?.lastUsed ?? 0) < ($1.value.token?.lastUsed ?? 0) }
    let excess = entries.count - rules.maxEntries
    return oldest.prefix(max(excess, rules.maxEntries / 16)).map { key, _ in
      entries[key] = nil
      return .withdraw(key)
    }
  }
}
