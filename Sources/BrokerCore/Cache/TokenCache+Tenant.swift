import Basics
import OAuth

/// Tokens that the tenant is asked for.
extension TokenCache {
  /// Puts the key into its client's queue. What is queued for somebody who waits keeps its place.
  mutating func enqueue(_ entry: inout Entry, _ rank: FetchQueue.Rank, _ now: Instant) {
    switch entry.fetch {
    case .loading, .running, .queued(.demanded): return
    case .queued(.ahead) where rank == .ahead: return
    case .none, .queued(.ahead): break
    }
    entry.fetch = .queued(rank)
    let urgency = entry.token?.servableUntil ?? now
    clients[entry.key.client]?.queue.insert(entry.key, rank, urgency: urgency, isUnproven: entry.isUnproven)
  }

  /// Starts as many of the client's fetches as may go out now.
  mutating func startFetches(_ client: UpstreamID, _ now: Instant) {
    // Taken out while it changes: a copy of the queue would be made otherwise.
    guard var state = clients.removeValue(forKey: client) else { return }
    var gate = state.gate
    while let (key, admitted) = state.queue.next({ gate.admit(isUnproven: $0, now: now) }) {
      var admission = admitted
      admission.payer = entries[key]?.payer
      entries[key]?.fetch = .running(admission, isOutdated: false)
      actions.append(.fetch(key))
    }
    state.gate = gate
    state.wakeAt = state.queue.isEmpty ? .distantFuture : gate.nextChange(now: now) ?? .distantFuture
    clients[client] = state
  }

  /// What the tenant has answered, or another broker has left in the store meanwhile.
  mutating func finish(
    _ key: TokenKey, _ admission: ClientGate.Admission, _ result: Result<MintedToken, TokenError>, _ now: Instant
  ) {
    if case .failure(let error) = result, clients[key.client]?.gate.isOutdated(error, key, admission) == true {
      return repeatFetch(key, admission, result, now)
    }
    let isOfClient = clients[key.client]?.gate.finished(key, admission, result, now: now, random: &random) ?? false
    if result.isFromStore { return take(SharedFinding(result), for: key, now) }
    guard var entry = entries.removeValue(forKey: key) else { return }
    let isOutdated = entry.isOutdated
    entry.fetch = .none
    // The store was asked on the way.
    if hasStore, key.holder == nil { entry.loadedAt = now }
    let waiters = removeWaiters(of: &entry)
    let payer = entry.isUnproven ? admission.payer : nil
    let outcome = result.flatMap { minted in
      let token = newToken(minted, for: entry, hasWaiters: !waiters.isEmpty, now)
      return token.isServable(at: now) ? .success(token) : .failure(minted.refusal(at: now))
    }
    switch outcome {
    case .success(let token):
      if !isOutdated { keep(token, in: &entry) }
      countSaved(max(0, waiters.count - 1), &entry)
      for waiter in waiters { answer(waiter, token) }
    case .failure(let error):
      if !isOfClient { entry.remember(error, now: now, random: &random) }
      entry.lastFailure = PastFailure(error, at: now)
      let told = refusal(entry, now) ?? error
      for waiter in waiters { answer(waiter, told, current: entry.token, now) }
    }
    reschedule(entry, now)
    if let payer, payer.isCharged(for: result, of: key) { charge(payer, key.client, now) }
    if clients[key.client]?.gate.isShut(now: now) == true { refuseQueued(key.client, now) }
  }

  /// The tenant has refused what may be made up. Where that uses up an allowance, those who wait for their turn at its
  /// expense are told at once.
  private mutating func charge(_ payer: Payer, _ client: UpstreamID, _ now: Instant) {
    allowances.charge(payer, client, now: now)
    guard allowances.wait(payer, client, now: now) != nil else { return }
    for key in clients[client]?.queue.keys ?? [] {
      guard entries[key]?.waiters.contains(where: { $0.payer?.shares(with: payer) == true }) == true,
        var entry = entries.removeValue(forKey: key)
      else { continue }
      refuseUnpaid(&entry, now)
      reschedule(entry, now)
    }
  }

  /// Those who wait, wait for what the tenant says to the credentials that have come meanwhile.
  private mutating func repeatFetch(
    _ key: TokenKey, _ admission: ClientGate.Admission, _ result: Result<MintedToken, TokenError>, _ now: Instant
  ) {
    _ = clients[key.client]?.gate.finished(key, admission, result, now: now, random: &random)
    guard var entry = entries.removeValue(forKey: key) else { return }
    entry.fetch = .none
    if !entry.waiters.isEmpty { enqueue(&entry, .demanded, now) }
    reschedule(entry, now)
    if clients[key.client]?.gate.isShut(now: now) == true { refuseQueued(key.client, now) }
  }

  /// The client is shut out for a while: those who wait for their turn are told at once.
  mutating func refuseQueued(_ client: UpstreamID, _ now: Instant) {
    for key in clients[client]?.queue.keys ?? [] where entries[key]?.waiters.isEmpty == false {
      guard var entry = entries.removeValue(forKey: key) else { continue }
      if let error = refusal(entry, now) {
        for waiter in removeWaiters(of: &entry) { answer(waiter, error, current: entry.token, now) }
        clients[client]?.queue.remove(key)
        entry.fetch = .none
      }
      reschedule(entry, now)
    }
  }
}

extension MintedToken {
  /// What is said of a token that comes with too little life. One whose life began well before it was asked for is
  /// repeated by the tenant until it ends.
  fileprivate func refusal(at now: Instant) -> TokenError {
    let isRepeated = lifetime > mintedAt.duration(to: expiresAt) + .seconds(2)
    return isRepeated && now < expiresAt ? .ending(in: now.duration(to: expiresAt)) : .expiredOnArrival
  }
}
