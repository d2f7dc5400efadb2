import Basics
import OAuth

/// What a request finds: a token, a failure that is remembered, or a place among those who wait.
extension TokenCache {
  mutating func ask(_ key: TokenKey, _ waiter: Waiter, _ now: Instant) {
    var entry = entries.removeValue(forKey: key) ?? newEntry(key)
    defer { if !entry.isBlank { entries[key] = entry } }
    let token = entry.servableToken(now)
    if let token, accepts(token, waiter.demand, now) {
      token.markUsed(at: now)
      lookups.hit += 1
      countSaved(1, &entry)
      actions.append(.answer(waiter.id, .success(token)))
    } else if let error = refusal(entry, now), !isStoreWorthAsking(entry, now) {
      answer(waiter, error, current: token, now)
    } else if let error = unpaid(waiter, entry, now) {
      answer(waiter, error, current: token, now)
    } else if waiterCount >= rules.maxWaiters || entry.isUnproven && unprovenWaiterCount >= rules.maxWaiters / 2 {
      answer(waiter, .overloaded, current: token, now)
    } else {
      var waiter = waiter
      waiter.lookup = entry.isIdle ? \.miss : \.coalesced
      waiter.isUnproven = entry.isUnproven
      entry.waiters.append(waiter)
      waiterCount += 1
      if waiter.isUnproven { unprovenWaiterCount += 1 }
      getToken(for: &entry, .demanded, now)
      if waiter.deadline < entry.dueAt { setDueTime(waiter.deadline, of: &entry) }
    }
  }

  /// Takes out the entry's waiters that `isLeaving` names.
  mutating func removeWaiters(of entry: inout Entry, where isLeaving: (Waiter) -> Bool = { _ in true }) -> [Waiter] {
    let leaving = entry.waiters.filter(isLeaving)
    if !leaving.isEmpty { entry.waiters.removeAll(where: isLeaving) }
    waiterCount -= leaving.count
    unprovenWaiterCount -= leaving.count(where: \.isUnproven)
    return leaving
  }

  /// Counts answers that cost no mint.
  mutating func countSaved(_ count: Int, _ entry: inout Entry) {
    saved[entry.key.client.name, default: 0] += count
    entry.hits += count
  }

  func accepts(_ token: CachedToken, _ demand: Demand, _ now: Instant) -> Bool {
    if demand.accepts(token, minRefreshInterval: rules.minRefreshInterval, now: now) { return true }
    // At the reserve of a month's allotment nobody gets a token just to have a newer one.
    return clients[token.key.client]?.gate.isAtReserve == true
  }

  /// What is known to go wrong now; nil where asking is worth it, or under way.
  func refusal(_ entry: Entry, _ now: Instant) -> TokenError? {
    if case .running = entry.fetch { return nil }
    if let failure = entry.failure, now < failure.until { return failure.told(at: now) }
    return clients[entry.key.client]?.gate.refusal(for: entry.key, now: now)
  }

  /// Why the tenant is not asked for a key that may be made up; nil where that would not cost another request, or the
  /// payer may still cause a refusal.
  private func unpaid(_ waiter: Waiter, _ entry: Entry, _ now: Instant) -> TokenError? {
    switch entry.fetch {
    case .loading, .running: return nil
    case .none, .queued: break
    }
    guard entry.isUnproven, let payer = waiter.payer, !isStoreWorthAsking(entry, now) else { return nil }
    return allowances.wait(payer, entry.key.client, now: now).map { .refusedTooOften($0) }
  }

  /// Tells those who wait for what may be made up, and whose allowance is used up.
  mutating func refuseUnpaid(_ entry: inout Entry, _ now: Instant) {
    guard entry.isUnproven else { return }
    let (allowances, client) = (allowances, entry.key.client)
    func wait(_ waiter: Waiter) -> Duration? { waiter.payer.flatMap { allowances.wait($0, client, now: now) } }
    for waiter in removeWaiters(of: &entry, where: { wait($0) != nil }) {
      answer(waiter, .refusedTooOften(wait(waiter) ?? .zero), current: entry.token, now)
    }
  }

  /// Answers with a new token, or one that will do.
  mutating func answer(_ waiter: Waiter, _ token: CachedToken) {
    lookups[keyPath: waiter.lookup] += 1
    actions.append(.answer(waiter.id, .success(token)))
  }

  /// Answers that no token could be had. A transient fault upstream is kept from a caller who wanted a newer token, as
  /// long as the current one will do.
  mutating func answer(_ waiter: Waiter, _ error: TokenError, current: CachedToken?, _ now: Instant) {
    if waiter.demand.isPlain || error.cause.isTransient, let current, current.isServable(at: now),
      waiter.demand.acceptsLife(of: current.minted, now: now)
    {
      lookups.stale += 1
      actions.append(.answer(waiter.id, .success(current)))
    } else {
      lookups[keyPath: waiter.lookup] += 1
      actions.append(.answer(waiter.id, .failure(error)))
    }
  }
}
