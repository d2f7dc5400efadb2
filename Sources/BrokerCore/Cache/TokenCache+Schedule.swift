import Basics
import HeapModule
import OAuth

/// What is due for an entry, and when.
extension TokenCache {
  /// A refusal is remembered this long beyond its time, so that the next one counts as a repetition.
  private static let refusalMemory = Duration.seconds(600)

  /// Changes a key's entry, if there is one, and does what is due for it.
  mutating func reschedule(_ key: TokenKey, _ now: Instant, _ change: (inout Entry) -> Void = { _ in }) {
    guard var entry = entries.removeValue(forKey: key) else { return }
    change(&entry)
    reschedule(entry, now)
  }

  /// Does what is due for an entry that was taken out, and puts it back until something is due again; or drops it, if
  /// there is nothing left to remember.
  mutating func reschedule(_ entry: consuming Entry, _ now: Instant) {
    var entry = entry
    for waiter in removeWaiters(of: &entry, where: { $0.deadline <= now }) {
      answer(waiter, .timedOut, current: entry.token, now)
    }
    if let token = entry.token, !token.isServable(at: now) {
      entry.token = nil
      actions.append(.withdraw(entry.key))
    }
    if isRefreshDue(entry, now) { getToken(for: &entry, .ahead, now) }
    leaveQueueIfUnneeded(&entry)
    guard let next = nextDueTime(entry, now) else { return }
    setDueTime(next, of: &entry)
    entry.shrink()
    entries[entry.key] = entry
  }

  private func isRefreshDue(_ entry: Entry, _ now: Instant) -> Bool {
    guard entry.isIdle else { return false }
    let isPrefetched = prefetched.contains(entry.key)
    guard let token = entry.token else { return isPrefetched && now >= nextPrefetch(entry, now) }
    return (token.isInUse || isPrefetched) && now >= nextRefresh(entry, token)
  }

  /// When the token is to be replaced, as failures, limits and a scarce quota allow.
  func nextRefresh(_ entry: Entry, _ token: CachedToken) -> Instant {
    var next = token.refreshAt
    if let failure = entry.failure { next = max(next, failure.until) }
    guard let scarceUntil = clients[entry.key.client]?.gate.scarceUntil(for: entry.key) else { return next }
    if token.servableUntil > scarceUntil { next = max(next, scarceUntil) }
    return next
  }

  /// When a key that is prefetched, and has no token, is to be asked for though nobody waits.
  private func nextPrefetch(_ entry: Entry, _ now: Instant) -> Instant {
    max(entry.failure?.until ?? now, clients[entry.key.client]?.gate.scarceUntil(for: entry.key) ?? now)
  }

  /// Nobody waits any more for a token that was not yet asked for, and no token is to be replaced.
  private mutating func leaveQueueIfUnneeded(_ entry: inout Entry) {
    guard case .queued = entry.fetch, entry.waiters.isEmpty, entry.token == nil, !prefetched.contains(entry.key)
    else { return }
    clients[entry.key.client]?.queue.remove(entry.key)
    entry.fetch = .none
  }

  /// nil: there is nothing left to remember.
  private func nextDueTime(_ entry: Entry, _ now: Instant) -> Instant? {
    var next = entry.waiters.map(\.deadline).min()
    func consider(_ instant: Instant) { next = min(next ?? instant, instant) }
    if let token = entry.token {
      consider(token.servableUntil)
      let refresh = nextRefresh(entry, token)
      if entry.isIdle, refresh > now { consider(refresh) }
    } else if prefetched.contains(entry.key) {
      consider(entry.isIdle ? nextPrefetch(entry, now) : .distantFuture)
    } else if let failure = entry.failure {
      let forgotten = max(failure.until.advanced(by: Self.refusalMemory), purgeEnd(entry) ?? now)
      consider(max(forgotten, now.advanced(by: .seconds(1))))
      if now >= forgotten, entry.isIdle, entry.waiters.isEmpty { return nil }
    } else if !entry.isIdle {
      consider(.distantFuture)
    } else {
      let forgotten = max(entry.loadedAt?.advanced(by: Self.storeMemory) ?? now, purgeEnd(entry) ?? now)
      if now < forgotten { consider(forgotten) }
    }
    return next
  }

  mutating func setDueTime(_ instant: Instant, of entry: inout Entry) {
    if entry.dueAt == instant { return }
    entry.dueAt = instant
    if instant != .distantFuture { dueTimes.insert(DueTime(at: instant, key: entry.key)) }
  }

  /// Over the limit the sixteenth part goes: what holds no token first, the oldest failures, then the tokens used
  /// longest ago. One at a time would mean a search each time.
  mutating func evict() {
    guard entries.count > rules.maxEntries else { return }
    let idle = entries.values.filter { $0.isIdle && $0.waiters.isEmpty && !prefetched.contains($0.key) }
    let oldest = idle.sorted { $0.worth < $1.worth }
    let excess = entries.count - rules.maxEntries
    for entry in oldest.prefix(max(excess, rules.maxEntries / 16)) {
      entries[entry.key] = nil
      if entry.token != nil { actions.append(.withdraw(entry.key)) }
    }
  }
}
