import Basics
import OAuth

/// Tokens that others have left in the store, where there is one.
extension TokenCache {
  /// What the store had for a key, or had not, is taken for true so long.
  static let storeMemory = Duration.seconds(1)

  /// Others may have left a token there, or word of a failure. Who brings credentials of their own shares nothing.
  func isStoreWorthAsking(_ entry: Entry, _ now: Instant) -> Bool {
    guard hasStore, entry.key.holder == nil, entry.isIdle else { return false }
    return entry.loadedAt.map { $0.duration(to: now) >= Self.storeMemory } ?? true
  }

  /// Gets a token: from the store if there may be one, else from the tenant. What goes to the tenant claims that right
  /// in the store, and finds out with it what is there. So where that can be done at once for somebody who waits, the
  /// store is not asked before: a slow one is waited for only once.
  mutating func getToken(for entry: inout Entry, _ rank: FetchQueue.Rank, _ now: Instant) {
    guard isStoreWorthAsking(entry, now), rank != .demanded || !isFreeToGo(entry, now) else {
      return enqueue(&entry, rank, now)
    }
    entry.fetch = .loading(isOutdated: false)
    actions.append(.load(entry.key))
  }

  /// Whether a request for the key would go out to the tenant now, and may.
  private func isFreeToGo(_ entry: Entry, _ now: Instant) -> Bool {
    guard let client = clients[entry.key.client], client.queue.isEmpty, refusal(entry, now) == nil,
      client.gate.isOpen(isUnproven: entry.isUnproven, now: now)
    else { return false }
    return entry.payer.flatMap { allowances.wait($0, entry.key.client, now: now) } == nil
  }

  /// What the store has, or what another broker has left there meanwhile. Whoever waits and is not served by it waits
  /// on, for the tenant, unless that is known to be in vain.
  mutating func take(_ found: SharedFinding, for key: TokenKey, _ now: Instant) {
    guard var entry = entries.removeValue(forKey: key) else { return }
    let isOutdated = entry.isOutdated
    entry.fetch = .none
    entry.loadedAt = now
    var current = entry.servableToken(now)
    if let minted = found.token, minted.isNewer(than: entry.mustBeNewerThan) {
      let token = newToken(minted, for: entry, hasWaiters: !entry.waiters.isEmpty, now)
      if token.isServable(at: now) {
        current = token
        if !isOutdated { keep(token, in: &entry) }
      }
    } else if let error = found.failure {
      let isOfClient = clients[key.client]?.gate.apply(error, key, now: now, random: &random) ?? false
      let isNews = entry.failure.map { $0.until < now.advanced(by: error.retryAfter ?? .zero) } ?? true
      if !isOfClient, isNews { entry.remember(error, now: now, random: &random) }
      entry.lastFailure = PastFailure(error, at: now)
    }
    if let current {
      let interval = rules.minRefreshInterval
      let served = removeWaiters(of: &entry) { $0.demand.accepts(current, minRefreshInterval: interval, now: now) }
      countSaved(served.count, &entry)
      for waiter in served { answer(waiter, current) }
    }
    if let error = refusal(entry, now) {
      for waiter in removeWaiters(of: &entry) { answer(waiter, error, current: current, now) }
    }
    refuseUnpaid(&entry, now)
    if !entry.waiters.isEmpty { enqueue(&entry, .demanded, now) }
    reschedule(entry, now)
    if clients[key.client]?.gate.isShut(now: now) == true { refuseQueued(key.client, now) }
  }

  /// A token as it is held. One that nobody waits for takes over how its predecessor was used.
  func newToken(_ minted: MintedToken, for entry: Entry, hasWaiters: Bool, _ now: Instant) -> CachedToken {
    CachedToken(
      key: entry.key, minted: minted.held(knowing: clients[entry.key.client]?.keyID), rules: rules,
      inPlaceOf: hasWaiters ? nil : entry.token,
      isRepeated: minted.accessToken == entry.token?.minted.accessToken, now: now)
  }

  mutating func keep(_ token: CachedToken, in entry: inout Entry) {
    entry.keep(token)
    if clients[entry.key.client]?.keyID != token.minted.keyID {
      clients[entry.key.client]?.keyID = token.minted.keyID
    }
    proven.insert(entry.key)
    actions.append(.publish(token))
  }

  /// Up to `count` of the tokens that are held, from a position on, which moves behind them; after the last comes the
  /// first. Few of very many entries may have one, so not all of those are looked at.
  func tokens(_ count: Int, from position: inout Int) -> [CachedToken] {
    if position >= entries.count { position = 0 }
    var tokens: [CachedToken] = []
    for entry in entries.values[entries.index(entries.startIndex, offsetBy: position)...].prefix(64 * count) {
      position += 1
      if let token = entry.token { tokens.append(token) }
      if tokens.count == count { break }
    }
    return tokens
  }
}
