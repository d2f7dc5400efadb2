import Basics
import HeapModule
import OAuth

/// What is due for an entry, and when to look at it again; and which entries go when there are too many.
extension TokenCache {
  /// A refusal is remembered this long beyond its time, so that the next one counts as a repetition.
  private static let grudge = Duration.seconds(600)

  /// Does what is due for an entry, and settles when to look again.
  mutating func look(_ key: TokenKey, _ now: Instant) {
    for waiter in release(key, where: { $0.deadline <= now }) {
      let current = entries[key]?.token
      actions.append(.answer(waiter.id, answer(to: waiter, .timedOut, current: current, now: now)))
    }
    if let token = entries[key]?.token, !token.isServable(at: now) {
      entries[key]?.token = nil
      actions.append(.withdraw(key))
    }
    if isRefreshDue(key, now) { want(key, .ahead, now) }
    abandonIfUnwanted(key)
    guard let entry = entries[key] else { return }
    if let next = nextLook(key, entry, now) { schedule(key, at: next) } else { entries[key] = nil }
  }

  private func isRefreshDue(_ key: TokenKey, _ now: Instant) -> Bool {
    guard let entry = entries[key], entry.fetch == .none else { return false }
    let isPrefetched = prefetched.contains(key)
    guard let token = entry.token else { return isPrefetched && now >= entry.failure?.until ?? now }
    return (token.isInUse || isPrefetched) && now >= nextRefresh(entry, token, now)
  }

  /// When the token is to be replaced, as failures, limits and a scarce quota allow.
  func nextRefresh(_ entry: Entry, _ token: CachedToken, _ now: Instant) -> Instant {
    var next = token.refreshAt
    if let failure = entry.failure { next = max(next, failure.until) }
    guard let gate = clients[token.key.client]?.gate else { return next }
    if token.servableUntil > gate.scarceUntil { next = max(next, gate.scarceUntil) }
    return next
  }

  /// Nobody waits any more for a token that was not yet asked for, and no token is to be replaced.
  private mutating func abandonIfUnwanted(_ key: TokenKey) {
    guard let entry = entries[key], entry.fetch == .queued, entry.waiters.isEmpty, entry.token == nil,
      !prefetched.contains(key)
    else { return }
    clients[key.client]?.queue.remove(key)
    entries[key]?.fetch = .none
  }

  /// nil: there is nothing left to remember.
  private func nextLook(_ key: TokenKey, _ entry: Entry, _ now: Instant) -> Instant? {
    var next = entry.waiters.map(\.deadline).min()
    func consider(_ instant: Instant) { next = min(next ?? instant, instant) }
    if let token = entry.token {
      consider(token.servableUntil)
      let refresh = nextRefresh(entry, token, now)
      if entry.fetch == .none, refresh > now { consider(refresh) }
    } else if let failure = entry.failure, prefetched.contains(key) {
      consider(entry.fetch == .none ? failure.until : .distantFuture)
    } else if let failure = entry.failure {
      consider(max(failure.until.advanced(by: Self.grudge), now.advanced(by: .seconds(1))))
      if now >= failure.until.advanced(by: Self.grudge), entry.fetch == .none, entry.waiters.isEmpty { return nil }
    } else if entry.fetch != .none {
      consider(.distantFuture)
    } else if let forgotten = entry.loadedAt?.advanced(by: Self.storeMemory), now < forgotten {
      consider(forgotten)
    }
    return next
  }

  mutating func schedule(_ key: TokenKey, at instant: Instant) {
    if entries[key]?.lookAt == instant { return }
    entries[key]?.lookAt = instant
    if instant != .distantFuture { looks.insert(Look(at: instant, key: key)) }
    if looks.count > 2 * entries.count + 1024 {
      looks = Heap(looks.unordered.filter { entries[$0.key]?.lookAt == $0.at })
    }
  }

  /// Over the limit the sixteenth part goes: what holds no token first, the oldest failures, then the tokens used longest
  /// ago. One at a time would mean a search each time.
  mutating func evict() {
    guard entries.count > rules.maxEntries else { return }
    let idle = entries.filter {
      $0.value.fetch == .none && $0.value.waiters.isEmpty && !prefetched.contains($0.key)
    }
    let oldest = idle.sorted { $0.value.worth < $1.value.worth }
    let excess = entries.count - rules.maxEntries
    for (key, entry) in oldest.prefix(max(excess, rules.maxEntries / 16)) {
      entries[key] = nil
      if entry.token != nil { actions.append(.withdraw(key)) }
    }
  }
}
