import Basics
import OAuth
import BrokerCore

extension Simulation {
  // MARK: What was promised

  func violation(_ promise: String, _ detail: String) -> Violation {
    Violation(promise: promise, detail: detail, at: Double(now.nanoseconds - start.nanoseconds) / 1e9)
  }

  mutating func answer(
    _ waiter: UInt64, _ result: Result<CachedToken, TokenError>
  ) throws(Violation) {
    guard let caller = replica.callers.removeValue(forKey: waiter) else {
      throw violation("every waiter is answered once", "waiter \(waiter) was answered again")
    }
    switch result {
    case .success(let token):
      note("answer \(waiter) \(token.minted.accessToken.value)")
      if token.key != caller.key { throw violation("a caller gets its own key's token", "\(token.key)") }
      try checkServed(token)
      if caller.demand.minTTL > now.duration(to: token.minted.expiresAt),
        token.minted.mintedAt.duration(to: now) >= scenario.rules.minRefreshInterval,
        token !== replica.lastMint[caller.key]
      {
        throw violation("min_ttl holds, or the token is the freshest there is", "waiter \(waiter)")
      }
    case .failure(let error):
      if error.cause == .brokerMisconfigured, replica.credentialsRefusedAt == nil {
        throw violation("a refusal of credentials that are gone is told to nobody", "\(caller.key)")
      }
      note("answer \(waiter) \(error.cause.rawValue)")
      if error.dependsOnClock, let offset = replica.clockRefusals[caller.key], offset != replica.wallOffset {
        throw violation("a refusal by a wrong clock is forgotten when it is set", caller.key.audience)
      }
      if let token = replica.table[caller.key], token.isServable(at: now),
        caller.demand.isPlain || error.cause.isTransient,
        now.duration(to: token.minted.expiresAt) >= caller.demand.minTTL || isBeyondReach(caller.demand, of: caller.key)
      {
        throw violation("no caller sees an error while a usable token is held", "\(error.cause) for \(caller.key)")
      }
      try checkRefusal(of: caller, error)
      let number = Int(caller.key.audience)
      if number != nil, ![.overloaded, .allowanceUsedUp].contains(error.cause), now >= wholeFrom,
        error.cause != .upstreamTimeout || isPatient(caller)
      {
        throw violation(
          "service is whole again after the last fault", "\(error.cause), key \(caller.key.audience)")
      }
    }
  }

  func isPatient(_ caller: Caller) -> Bool { caller.deadline.nanoseconds - now.nanoseconds > 20_000_000_000 }

  /// An hour's quota or ten minutes of a refusal may have to pass.
  var wholeFrom: Instant {
    let hour = scenario.quota?.isEnforced == true ? 4_000_000 : 700.0
    return start.advanced(by: .seconds(scenario.calmFrom + hour + abs(replica.wallOffset) * 1e9))
  }

  func checkServed(_ token: CachedToken) throws(Violation) {
    let name = token.minted.accessToken.value
    guard let truth = truth[name] else { throw violation("only validated tokens are served", name) }
    if now >= truth.expiresAt { throw violation("no expired token is served", "\(name)") }
    let lifetime = token.minted.mintedAt.duration(to: token.minted.expiresAt)
    let least = min(scenario.rules.minRemaining, lifetime / 8)
    if now.duration(to: token.minted.expiresAt) < least {
      throw violation(
        "a token is served with enough life left", "\(name) has \(now.duration(to: token.minted.expiresAt))")
    }
  }

  /// A token goes when its life or its key has come to an end, or for want of room.
  func checkWithdrawal(_ key: TokenKey) throws(Violation) {
    guard let token = replica.table[key], token.isServable(at: now), now > replica.forgetsUntil else { return }
    if let kid = token.minted.keyID, replica.keySet.current?.contains(kid) == true {
      throw violation("a usable token is kept, whatever happens upstream", token.minted.accessToken.value)
    }
  }

  /// A revoked key is noticed within ten minutes, unless the key set cannot be read or a clock is wrong. A token of the
  /// store that came after the source was made anew would have been checked against the keys when it was loaded.
  func checkRevocation(_ revoked: Instant, _ published: [String]) throws(Violation) {
    guard fleet.hasTrueClocks, !tenant.hidKeySet(between: revoked, and: now) else { return }
    for (key, token) in replica.table where token.isServable(at: now) && token.minted.mintedAt < revoked {
      guard let id = token.minted.keyID, !published.contains(id) else { continue }
      if token.minted.isFromStore, replica.source.madeAt > revoked { continue }
      throw violation("a revoked key is noticed within ten minutes", "\(key.audience) is signed with \(id)")
    }
  }

  mutating func checkWaiters() throws(Violation) {
    if replica.callers.count > scenario.rules.maxWaiters {
      throw violation("waiters are bounded", "\(replica.callers.count)")
    }
    if eventCount % 8 == 0, let late = replica.callers.first(where: { $0.value.deadline < now }) {
      throw violation("every waiter is answered by its deadline", "waiter \(late.key)")
    }
  }

  mutating func checkFetch(_ key: TokenKey) throws(Violation) {
    if replica.inFlight.contains(key) { throw violation("one request in flight for a key", key.audience) }
    let rules = scenario.rules.client
    if replica.inFlight.count >= min(rules.maxConcurrent, rules.firstConcurrent + replica.borne) {
      throw violation(
        "requests in flight are bounded, and by what the tenant has borne since it last did not",
        "\(replica.inFlight.count) after \(replica.borne)")
    }
    try checkReason(key)
  }

  /// Before the tenant is asked.
  mutating func checkAsk(_ job: Job) throws(Violation) {
    replica.fetches = replica.fetches.filter { $0.duration(to: now) < .seconds(60) } + [now]
    if replica.fetches.count > 2 * scenario.rules.client.mintsPerMinute + 1 {
      throw violation("mints a minute are bounded", "\(replica.fetches.count)")
    }
    if let until = replica.mustWait[job.key], now < until {
      throw violation("one mint for an outage of the key set", "another is held for \(now.duration(to: until))")
    }
    try checkRetry(job.key)
    try checkTenantIsSpared(job)
    try checkFleet(job)
    replica.forced.remove(job.key)
  }

  /// Brokers that can tell each other ask for no more than one would.
  mutating func checkFleet(_ job: Job) throws(Violation) {
    let sure = max(fleet.storeWasTroubledAt, fleet.brokerDiedAt).advanced(by: .seconds(60))
    guard store != nil, now > sure, fleet.hasTrueClocks else { return }
    if let other = fleet.inFlight[job.key], other > 0 {
      throw violation("one request in flight for a key in the whole fleet", job.key.audience)
    }
    if let limitedUntil = fleet.limitedUntil, now < limitedUntil.advanced(by: .seconds(-1)) {
      throw violation("one broker's limit silences all", "\(now.duration(to: limitedUntil)) early")
    }
    guard let newest = fleet.newest[job.key], let left = fleet.leftAt[job.key], left > fleet.storeWasTroubledAt,
      !(newest.minted.mintedAt...newest.minted.mintedAt.advanced(by: .seconds(60))).contains(fleet.brokerDiedAt),
      newest.isServable(at: now), now < newest.refreshAt,
      let keyID = newest.minted.keyID, tenant.publishedKeys.contains(keyID), !replica.forced.contains(job.key)
    else { return }
    throw violation("one mint for the whole fleet", "\(newest.minted.accessToken.value) is good until it is due")
  }

  mutating func checkRetry(_ key: TokenKey) throws(Violation) {
    guard let (error, at, streak) = replica.lastFailure[key], at > replica.forgetsUntil else { return }
    let waited = at.duration(to: now)
    if !error.cause.isTransient, error.cause != .brokerMisconfigured, waited < .seconds(60) {
      throw violation("a definite refusal is remembered for a minute", "\(error.cause) asked again after \(waited)")
    }
    // Near the end of a token's life there is no time for patience.
    let last = replica.lastMint[key]?.servableUntil ?? .distantFuture
    let isPressing = at < last && at.duration(to: last) < .seconds(200)
    let isFault = error.cause == .upstreamUnavailable || error.cause == .upstreamGlitch
    if isFault, streak <= 6, waited < .seconds(20), !isPressing {
      let longest = 0.25 * Double(1 << (streak - 1))
      let seconds = Double(waited.nanoseconds) / 1e9
      if seconds < longest / 11 {
        throw violation("a passing fault backs off", "\(key.audience) after \(waited)")
      }
      if seconds <= longest * 1.01 { replica.retryRatios.append(seconds / longest) }
    }
  }

  /// A token that is still good is replaced only in the last part of its life, on demand, or after its key was revoked.
  func checkReason(_ key: TokenKey) throws(Violation) {
    guard let last = replica.lastMint[key], replica.table[key] != nil else { return }
    let age = last.minted.mintedAt.duration(to: now)
    let lifetime = last.minted.mintedAt.duration(to: last.minted.expiresAt)
    if now < last.refreshAt, !replica.forced.contains(key) {
      throw violation("a token is minted only when one is due", "\(key.audience), aged \(age) of \(lifetime)")
    }
    if replica.forced.contains(key), now < last.refreshAt, age < scenario.rules.minRefreshInterval {
      throw violation("nobody can make the broker mint on every call", "aged \(age)")
    }
    if last.refreshAt < last.minted.mintedAt.advanced(by: lifetime / 5) {
      throw violation("no token is born stale", "due after \(last.minted.mintedAt.duration(to: last.refreshAt))")
    }
  }

  mutating func checkTenantIsSpared(_ job: Job) throws(Violation) {
    // What was let out before has been on its way through the store and the key set.
    func isLate(_ heard: Instant) -> Bool { job.admittedAt < heard && heard.duration(to: now) < .seconds(2) }
    if let refused = replica.credentialsRefusedAt, refused.duration(to: now) < .seconds(60), !isLate(refused) {
      throw violation("refused credentials are not tried again at once", "after \(refused.duration(to: now))")
    }
    if let limitedUntil = replica.limitedUntil, now < limitedUntil, !isLate(replica.limitHeardAt) {
      throw violation("a limit is kept for as long as the tenant told", "\(now.duration(to: limitedUntil)) early")
    }
    if tenant.isDown(now) {
      if replica.outageSince == nil { (replica.outageSince, replica.outageFetches) = (now, 0) }
      replica.outageFetches += 1
      let seconds = Double((replica.outageSince ?? now).duration(to: now).nanoseconds) / 1e9
      if Double(replica.outageFetches) > 40 + seconds / 3 {
        throw violation("an outage is not met with a storm", "\(replica.outageFetches) requests in \(seconds) s")
      }
    } else if replica.outageSince != nil, replica.inFlight.isEmpty {
      replica.outageSince = nil
    }
  }
}

extension Simulation {
  // MARK: Keys

  /// Before the key set is read, for a token that was just issued or for another reason.
  mutating func checkKeySetFetch(isForIssued: Bool) throws(Violation) {
    if let last = replica.keySetAskedAt, !replica.keySetFailed, !isForIssued, last.duration(to: now) < .seconds(29) {
      throw violation("the key set is fetched at most once in 30 s for others' tokens", "\(last.duration(to: now))")
    }
    if let until = replica.keySetLimitedUntil, now < until {
      throw violation("the key set's Retry-After is heeded", "\(now.duration(to: until)) early")
    }
    replica.keySetFetches = replica.keySetFetches.filter { $0.duration(to: now) < .seconds(60) } + [now]
    if replica.keySetFetches.count > 16 {
      throw violation("the key set is not asked for in a storm", "\(replica.keySetFetches.count) times in a minute")
    }
  }

  /// Before a token that the tenant has just issued is refused because its key is not among those that were read.
  func checkKeyIsGone(_ keyID: String?) throws(Violation) {
    guard let keyID, tenant.publishedKeys.contains(keyID) else { return }
    throw violation("a token whose key is published is not refused", keyID)
  }

  /// A token of a new key is good as soon as that is published.
  func checkDelay(_ job: Job, _ token: SimulatedTenant.Token) throws(Violation) {
    let answered = token.expiresAt.advanced(by: .seconds(-(scenario.lifetimes[Int(job.key.audience) ?? 0])))
    let before = answered.advanced(by: .seconds(-120))
    guard job.keysBy == nil, answered.duration(to: now) > .seconds(3), !tenant.hidKeySet(between: before, and: now),
      !tenant.usedForeignKeys(between: before, and: now), !tenant.isSlow(answered)
    else { return }
    throw violation("a token of a new key is checked at once", "after \(answered.duration(to: now))")
  }
}
