import Basics
import OAuth

/// Where a token comes from: the store, where there is one, or the tenant.
extension TokenCache {
  // MARK: The store

  /// Others may have left a token there, or word of a failure. Who brings credentials of their own shares nothing.
  func isStoreWorthAsking(_ key: TokenKey, _ now: Instant) -> Bool {
    guard hasStore, key.holder == nil else { return false }
    guard let entry = entries[key] else { return true }
    return entry.fetch == .none && entry.loadedAt.map { $0.duration(to: now) >= Self.storeMemory } ?? true
  }

  /// Gets a token for the key: from the store if there may be one, else from the tenant.
  mutating func want(_ key: TokenKey, _ rank: FetchQueue.Rank, _ now: Instant) {
    guard isStoreWorthAsking(key, now) else { return enqueue(key, rank, now) }
    entries[key]?.fetch = .loading
    actions.append(.load(key))
  }

  /// Whoever waits and is not served by what the store has waits on, for the tenant, unless that is known to be in vain.
  mutating func take(_ found: SharedFinding, for key: TokenKey, _ now: Instant) {
    guard let entry = entries[key] else { return }
    entries[key]?.fetch = .none
    entries[key]?.isOutdated = false
    entries[key]?.loadedAt = now
    var current = entry.token
    if let minted = found.token, minted.isNewer(than: entry.token?.minted) {
      let predecessor = entry.waiters.isEmpty ? entry.token : nil
      let token = CachedToken(key: key, minted: minted, rules: rules, inPlaceOf: predecessor, now: now)
      if token.isServable(at: now) {
        current = token
        if !entry.isOutdated { keep(token) }
      }
    } else if let error = found.failure {
      let isOfClient = clients[key.client]?.gate.told(error, key, now: now, random: &random) ?? false
      let isNews = entry.failure.map { $0.until < now.advanced(by: error.retryAfter ?? .zero) } ?? true
      if !isOfClient, isNews { remember(error, for: key, now) }
      entries[key]?.lastFailure = PastFailure(error, at: now)
    }
    if let current, current.isServable(at: now) {
      let served = release(key) { [rules] in
        $0.demand.accepts(current, minRefreshInterval: rules.minRefreshInterval, now: now)
      }
      save(served.count, key)
      for waiter in served {
        lookups[keyPath: waiter.lookup] += 1
        actions.append(.answer(waiter.id, .success(current)))
      }
    }
    if let error = remembered(key, now) {
      for waiter in release(key) {
        actions.append(.answer(waiter.id, answer(to: waiter, error, current: current, now: now)))
      }
    }
    if entries[key]?.waiters.isEmpty == false { enqueue(key, .demanded, now) }
    look(key, now)
  }

  private mutating func remember(_ error: TokenError, for key: TokenKey, _ now: Instant) {
    guard let entry = entries[key] else { return }
    let left = entry.token.map { now.duration(to: $0.servableUntil) }
    entries[key]?.failure = Failure(error, after: entry.failure, left: left, now: now, random: &random)
  }

  // MARK: The tenant

  private mutating func enqueue(_ key: TokenKey, _ rank: FetchQueue.Rank, _ now: Instant) {
    guard let fetch = entries[key]?.fetch, fetch == .none || fetch == .queued else { return }
    // What is queued for somebody stays so.
    if fetch == .queued, rank == .ahead || entries[key]?.waiters.count != 1 { return }
    entries[key]?.fetch = .queued
    let urgency = entries[key]?.token?.servableUntil ?? now
    clients[key.client]?.queue.insert(key, rank, urgency: urgency, isUnproven: entries[key]?.isUnproven ?? true)
  }

  /// Starts as many of the client's fetches as may go out now.
  mutating func pump(_ client: UpstreamID, _ now: Instant) {
    // Taken out while it changes: a copy of the queue would be made otherwise.
    guard var state = clients.removeValue(forKey: client) else { return }
    var gate = state.gate
    while let key = state.queue.next({ gate.admit(isUnproven: $0, now: now) }) {
      let isUnproven = entries[key]?.isUnproven == true
      entries[key]?.fetch = .running
      entries[key]?.isRunningAsUnproven = isUnproven
      entries[key]?.isRunningAsProbe = gate.isProbing
      actions.append(.fetch(key))
    }
    state.gate = gate
    state.wakeAt = state.queue.isEmpty ? .distantFuture : gate.nextChange(now: now) ?? .distantFuture
    clients[client] = state
  }

  mutating func finish(_ key: TokenKey, _ result: Result<MintedToken, TokenError>, _ now: Instant) {
    guard let entry = entries[key] else { return }
    let isOfClient =
      clients[key.client]?.gate.finished(
        key, isUnproven: entry.isRunningAsUnproven, isProbe: entry.isRunningAsProbe, result, now: now, random: &random)
      ?? false
    if case .success(let minted) = result, minted.isFromStore {
      return take(SharedFinding(token: minted), for: key, now)
    }
    entries[key]?.fetch = .none
    entries[key]?.isOutdated = false
    let waiters = release(key)
    let outcome = result.flatMap { minted in
      let predecessor = waiters.isEmpty ? entry.token : nil
      let token = CachedToken(key: key, minted: minted, rules: rules, inPlaceOf: predecessor, now: now)
      return token.isServable(at: now) ? .success(token) : .failure(TokenError.expiredOnArrival)
    }
    switch outcome {
    case .success(let token):
      if !entry.isOutdated { keep(token) }
      save(max(0, waiters.count - 1), key)
      for waiter in waiters {
        lookups[keyPath: waiter.lookup] += 1
        actions.append(.answer(waiter.id, .success(token)))
      }
    case .failure(let error):
      if !isOfClient { remember(error, for: key, now) }
      entries[key]?.lastFailure = PastFailure(error, at: now)
      let told = remembered(key, now) ?? error
      for waiter in waiters {
        actions.append(.answer(waiter.id, answer(to: waiter, told, current: entry.token, now: now)))
      }
    }
    look(key, now)
    if clients[key.client]?.gate.isShut(now: now) == true { refuseWaiting(key.client, now) }
  }

  private mutating func keep(_ token: CachedToken) {
    entries[token.key]?.token = token
    entries[token.key]?.failure = nil
    entries[token.key]?.isUnproven = false
    actions.append(.publish(token))
  }

  /// The client is shut out for a while: those who wait for their turn are told at once.
  private mutating func refuseWaiting(_ client: UpstreamID, _ now: Instant) {
    for key in clients[client]?.queue.keys ?? [] where entries[key]?.waiters.isEmpty == false {
      guard let error = remembered(key, now) else { continue }
      for waiter in release(key) {
        let answer = answer(to: waiter, error, current: entries[key]?.token, now: now)
        actions.append(.answer(waiter.id, answer))
      }
      clients[client]?.queue.remove(key)
      entries[key]?.fetch = .none
      look(key, now)
    }
  }
}
