import Basics
import OAuth

/// What a request finds: a token, a failure that is remembered, or a place among those who wait.
extension TokenCache {
  mutating func ask(_ key: TokenKey, _ waiter: Waiter, _ now: Instant) {
    let token = entries[key]?.token.flatMap { $0.isServable(at: now) ? $0 : nil }
    if let token, accepts(token, waiter.demand, now) {
      token.markUsed(at: now)
      lookups.hit += 1
      save(1, key)
      actions.append(.answer(waiter.id, .success(token)))
      return
    }
    if let error = remembered(key, now), !isStoreWorthAsking(key, now) {
      actions.append(.answer(waiter.id, answer(to: waiter, error, current: token, now: now)))
      return
    }
    let isUnproven = entries[key]?.isUnproven ?? true
    guard waiterCount < rules.maxWaiters, !isUnproven || unprovenWaiterCount < rules.maxWaiters / 2 else {
      actions.append(.answer(waiter.id, answer(to: waiter, .overloaded, current: token, now: now)))
      return
    }
    var waiter = waiter
    waiter.lookup = entries[key].map { $0.fetch == .none } ?? true ? \.miss : \.coalesced
    entries[key, default: Entry()].waiters.append(waiter)
    waiterCount += 1
    if isUnproven { unprovenWaiterCount += 1 }
    want(key, .demanded, now)
    if waiter.deadline < entries[key]?.lookAt ?? .distantFuture { schedule(key, at: waiter.deadline) }
  }

  /// Counts answers that cost no mint.
  mutating func save(_ count: Int, _ key: TokenKey) {
    saved[key.client.name, default: 0] += count
    entries[key]?.hits += count
  }

  func accepts(_ token: CachedToken, _ demand: Demand, _ now: Instant) -> Bool {
    if demand.accepts(token, minRefreshInterval: rules.minRefreshInterval, now: now) { return true }
    // At the reserve of a month's allotment nobody gets a token just to have a newer one.
    return clients[token.key.client]?.gate.isAtReserve == true
  }

  /// What is known to go wrong now; nil where asking is worth it, or under way.
  func remembered(_ key: TokenKey, _ now: Instant) -> TokenError? {
    if entries[key]?.fetch == .running { return nil }
    if let failure = entries[key]?.failure, now < failure.until { return failure.told(at: now) }
    return clients[key.client]?.gate.refusal(for: key, now: now)
  }

  /// Takes out the entry's waiters that `isLeaving` names.
  mutating func release(_ key: TokenKey, where isLeaving: (Waiter) -> Bool = { _ in true }) -> [Waiter] {
    guard let waiters = entries[key]?.waiters else { return [] }
    let leaving = waiters.filter(isLeaving)
    if leaving.isEmpty { return [] }
    entries[key]?.waiters = waiters.filter { !isLeaving($0) }
    waiterCount -= leaving.count
    if entries[key]?.isUnproven == true { unprovenWaiterCount -= leaving.count }
    return leaving
  }

  /// A passing fault upstream is kept from a caller who wanted a newer token, as long as the current one will do.
  mutating func answer(
    to waiter: Waiter, _ error: TokenError, current: CachedToken?, now: Instant
  ) -> Result<CachedToken, TokenError> {
    let isPlain = waiter.demand.isPlain
    guard isPlain || error.cause.isTransient, let current, current.isServable(at: now),
      now.duration(to: current.minted.expiresAt) >= waiter.demand.minTTL
    else {
      lookups[keyPath: waiter.lookup] += 1
      return .failure(error)
    }
    lookups.stale += 1
    return .success(current)
  }
}
