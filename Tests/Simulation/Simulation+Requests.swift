import Basics
import OAuth
import BrokerCore

extension Simulation {
  // MARK: The way of a request

  mutating func fetch(_ key: TokenKey) throws(Violation) {
    note("fetch \(key.audience)")
    try checkFetch(key)
    replica.inFlight.insert(key)
    let job = Job(
      key: key, asked: now, deadline: now.advanced(by: .seconds(30)), incarnation: replica.incarnation,
      admittedAt: now, admittedWith: replica.credentials)
    if store == nil { return try ask(job) }
    let fetch = SharedFetch(
      holding: replica.cache.token(key)?.minted, minRemaining: scenario.rules.minRemaining, deadline: job.deadline)
    replica.errands[key] = Replica.Errand(job: job, fetch: fetch)
    plan(.storeClaims(key, incarnation: job.incarnation, turn: 0), in: storeLatency())
  }

  /// As `TokenSource.mint` does it: first the token that is held, then the keys, if none are known, then the tenant.
  mutating func ask(_ job: Job) throws(Violation) {
    if let held = replica.source.held.token(job.key, now: now) {
      var job = job
      job.asked = held.asked
      job.keysBy = min(job.deadline, now.advanced(by: .seconds(5)))
      return try verify(job, held.token, [])
    }
    var job = job
    job.keysBy = min(job.deadline, now.advanced(by: .seconds(5)))
    try askWithKeys(job)
  }

  mutating func askWithKeys(_ job: Job) throws(Violation) {
    guard job.incarnation == replica.incarnation else { return }
    guard replica.keySet.current == nil, replica.keySet.isFailing else { return try askTenant(job) }
    if replica.keySetBusy || replica.keySet.wantsFetch(isKnown: false, now: now) {
      replica.waitingForKeys.append((job, nil, []))
      return try fetchKeySet(isForIssued: true)
    }
    let retry = replica.keySet.nextFetch() ?? now
    if retry < job.keysBy ?? job.deadline { return plan(.askAfterKeys(job), at: retry) }
    try fetched(job, .failure(noKeys(until: retry)))
  }

  private func noKeys(until retry: Instant) -> TokenError {
    TokenError(
      cause: .upstreamUnavailable, message: "no keys", retryAfter: max(.zero, now.duration(to: retry)))
  }

  private mutating func askTenant(_ job: Job) throws(Violation) {
    let isOrdinary = !replica.forced.contains(job.key)
    let isVain = isOrdinary && isHeldElsewhere(job.key)
    try checkAsk(job)
    fleet.asks(job.key)
    replica.asking.insert(job.key)
    var job = job.anew(now)
    (job.isOrdinary, job.isVain) = (isOrdinary, isVain)
    job.credentials = replica.credentials
    plan(.tenantAsked(job), in: Double.random(in: 0.01...0.1, using: &random))
  }

  mutating func arrive(_ job: Job) {
    let slow = tenant.isSlow(now)
    let latency = slow ? Double.random(in: 1...40, using: &random) : Double.random(in: 0.02...0.3, using: &random)
    let number = Int(job.key.audience)
    let lifetime = number.map { scenario.lifetimes[$0] } ?? 0
    if latency > 10 {
      let late = SimulatedTenant.Answer.refused(.timedOut)
      return plan(.tenantAnswered(job, late), in: 10)
    }
    let answer = tenant.answer(
      number, job.key.organization, lifetime: lifetime, now: now, random: &random)
    plan(.tenantAnswered(job, answer), in: latency)
  }

  mutating func answered(_ job: Job, _ answer: SimulatedTenant.Answer) throws(Violation) {
    guard job.incarnation == replica.incarnation else { return }
    switch answer {
    case .refused(let error): try fetched(job, .failure(error))
    case .token where isOutdated(job) && Bool.random(using: &random):
      // The tenant has looked at the credentials when it no longer took them.
      try fetched(job, .failure(TokenError(cause: .brokerMisconfigured, message: "401")))
    case .token(let token, let quota): try verify(job, token, quota)
    }
  }

  /// As `KeySetSource.candidates` and `TokenSource.check` do it.
  mutating func verify(
    _ job: Job, _ token: SimulatedTenant.Token, _ quota: [QuotaBucket]
  ) throws(Violation) {
    guard job.incarnation == replica.incarnation else { return }
    let isKnown = replica.keySet.current?.contains(token.kid) ?? false
    let need = FetchSchedule<Set<String>>.Need.issued(job.asked)
    let end = job.asked.advanced(by: .seconds(token.expiresIn))
    replica.source.held.hold(.init(token: token, asked: job.asked), for: job.key, asked: job.asked, end: end, now: now)
    if replica.keySetBusy, !isKnown || replica.keySet.wantsFetch(need, isKnown: isKnown, now: now) {
      return replica.waitingForKeys.append((job, token, quota))
    }
    switch replica.keySet.step(need, isKnown: isKnown, now: now) {
    case .fetch:
      replica.waitingForKeys.append((job, token, quota))
      try fetchKeySet(isForIssued: true)
    case .settled:
      replica.source.held.release(job.key)
      replica.mustWait[job.key] = nil
      if isKnown {
        try checkDelay(job, token)
        return try accept(job, token, quota)
      }
      try checkKeyIsGone(token.kid)
      if job.keysBy != nil, !replica.asking.contains(job.key) { return try askWithKeys(job.anew(now)) }
      try fetched(job, .failure(TokenError(cause: .tokenValidationFailed, message: "no key")))
    case .wait(let retry):
      if retry < job.keysBy ?? job.deadline { return plan(.verify(job, token, quota), at: retry) }
      replica.mustWait[job.key] = job.asked.advanced(by: job.asked.duration(to: end) / 8 * 7)
      try fetched(job, .failure(noKeys(until: retry)))
    }
  }

  mutating func fetchKeySet(isForIssued: Bool) throws(Violation) {
    if replica.keySetBusy { return }
    try checkKeySetFetch(isForIssued: isForIssued)
    replica.keySetBusy = true
    replica.keySetAskedAt = now
    plan(.keySetAnswered, in: Double.random(in: 0.02...0.4, using: &random))
  }

  mutating func keySetAnswered() throws(Violation) {
    guard replica.keySetBusy else { return }
    replica.keySetBusy = false
    replica.keySetFailed = tenant.hidesKeySet(now)
    if replica.keySetFailed {
      let wait: Duration? = tenant.limitsKeySet(now) ? .seconds(60) : nil
      replica.keySet.failed(now: now, retryAfter: wait)
      replica.keySetLimitedUntil = wait.map { now.advanced(by: $0) }
    } else {
      let asked = replica.keySetAskedAt ?? now
      replica.keySet.fetched(tenant.publishedKeys, asked: asked)
      try perform(replica.cache.keySetChanged(tenant.publishedKeys, client: "default", asked: asked, now: now))
      for (key, token) in replica.table where token.minted.mintedAt < asked {
        guard let kid = token.minted.keyID, !tenant.publishedKeys.contains(kid) else { continue }
        throw violation("a token whose key is revoked is evicted", "key \(key.audience)")
      }
    }
    let waiting = replica.waitingForKeys
    replica.waitingForKeys = []
    for (job, token, quota) in waiting {
      if let token { try verify(job, token, quota) } else { try askWithKeys(job) }
    }
  }

  mutating func accept(
    _ job: Job, _ token: SimulatedTenant.Token, _ quota: [QuotaBucket]
  ) throws(Violation) {
    // The tenant's dates are true; the broker sees them by its own wall clock.
    let wallNow = Double(now.nanoseconds) / 1e9 + replica.wallOffset
    let exp = Double(token.expiresAt.nanoseconds) / 1e9
    if exp <= wallNow || Double(job.asked.nanoseconds) / 1e9 > wallNow + 60 {
      // What was held and does not pass is let go, and the tenant is asked.
      if job.keysBy != nil, !replica.asking.contains(job.key) { return try askWithKeys(job.anew(now)) }
      var error = TokenError(cause: .tokenValidationFailed, message: "the clocks differ")
      error.flaw = .time
      replica.clockRefusals[job.key] = replica.wallOffset
      return try fetched(job, .failure(error))
    }
    let stated = job.asked.advanced(by: .seconds(token.expiresIn))
    let proven = MintedToken.instant(of: exp, now: now, wallNow: wallNow)
    // A clock set back hides that some servers round up; then nobody could know.
    let isKnowable =
      replica.wallOffset >= 0
      || token.expiresIn % 10 == 0 && Double(token.expiresIn) <= exp - Double(job.asked.nanoseconds) / 1e9 + 1
    truth[token.name] = SimulatedTenant.Token(
      name: token.name, kid: token.kid,
      expiresAt: isKnowable ? token.expiresAt : token.expiresAt.advanced(by: .seconds(31)), expiresIn: token.expiresIn)
    let minted = MintedToken(
      accessToken: AccessToken(token.name), scope: nil, keyID: token.kid, mintedAt: job.asked,
      expiresAt: min(stated, proven), quota: quota, upstreamRequestID: nil)
    try fetched(job, .success(minted))
  }

  mutating func fetched(_ job: Job, _ result: Result<MintedToken, TokenError>) throws(Violation) {
    if replica.asking.remove(job.key) != nil { fleet.answered(job.key) }
    if store != nil {
      replica.errands[job.key] = nil
      plan(.storeSaved(job, result), in: storeLatency())
    }
    try finish(job, result)
  }

  /// Whether the broker has been given other credentials since the tenant was asked.
  func isOutdated(_ job: Job) -> Bool { job.credentials != replica.credentials }

  /// Whether it has been since the job was let out: then nobody knows which ones the tenant has refused.
  private func mayBeOutdated(_ job: Job) -> Bool { job.admittedWith != replica.credentials }

  private func noteWhatIsBorne(_ result: Result<MintedToken, TokenError>) {
    switch result {
    case .success(let token): if !token.isFromStore { replica.borne += 1 }
    case .failure(let error):
      let isTrouble = [.upstreamRateLimited, .upstreamGlitch, .upstreamUnavailable, .upstreamTimeout]
        .contains(error.cause)
      if isTrouble { replica.borne = 0 }
    }
  }

  /// What a fetch came to, whoever asked.
  mutating func finish(_ job: Job, _ result: Result<MintedToken, TokenError>) throws(Violation) {
    replica.inFlight.remove(job.key)
    noteWhatIsBorne(result)
    if case .failure(let error) = result, error.cause == .brokerMisconfigured, mayBeOutdated(job) {
      note("failed \(job.key.audience) by credentials that may be gone")
      // What those who wait want is still wanted.
      let isForced = replica.callers.values.contains { $0.key == job.key && !$0.demand.isPlain }
      if isForced { replica.forced.insert(job.key) }
    } else if case .failure(let error) = result, error.isFromStore {
      note("refused \(job.key.audience) \(error.cause.rawValue), as another broker was")
    } else if case .failure(let error) = result {
      note("failed \(job.key.audience) \(error.cause.rawValue)")
      let previous = replica.lastFailure[job.key]
      // What is long past is forgotten.
      let repeats = previous.map { $0.error.cause == error.cause && $0.at.duration(to: now) < .seconds(600) } ?? false
      let streak = repeats ? (previous?.streak ?? 0) + 1 : 1
      replica.lastFailure[job.key] = (error, now, streak)
      try checkRefusal(job.key, error)
      // What was let out before the first answer says no more than that.
      if error.cause == .brokerMisconfigured, replica.credentialsRefusedAt.map({ $0 < job.admittedAt }) ?? true {
        replica.credentialsRefusedAt = now
      }
      if error.cause == .upstreamRateLimited, !error.isOfOrganization, let wait = error.retryAfter {
        replica.limitHeardAt = now
        replica.limitedUntil = max(replica.limitedUntil ?? now, now.advanced(by: min(wait, .seconds(3600))))
      }
    } else {
      replica.outageSince = nil
    }
    if case .success(let minted) = result, !minted.isFromStore {
      fleet.mints += 1
      // Only the first to come is needed of several that were asked for at once.
      if job.isVain || job.isOrdinary && isHeldElsewhere(job.key) { try checkVain(job.key) }
    }
    try perform(replica.cache.fetched(job.key, result, now: now))
    countMintsIfOutdated()
  }
}

extension Replica.Job {
  /// The same, to be asked of the tenant now.
  func anew(_ now: Instant) -> Replica.Job {
    Replica.Job(
      key: key, asked: now, deadline: deadline, incarnation: incarnation, claim: claim, admittedAt: admittedAt,
      admittedWith: admittedWith)
  }
}
