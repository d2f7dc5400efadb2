import Basics
import OAuth
import BrokerCore

extension Simulation {
  // MARK: The way of a request

  mutating func fetch(_ key: TokenKey) throws(Violation) {
    note("fetch \(key.audience)")
    try checkFetch(key)
    replica.inFlight.insert(key)
    let job = Job(key: key, asked: now, deadline: now.advanced(by: .seconds(30)), incarnation: replica.incarnation)
    if store == nil { return try ask(job) }
    let fetch = SharedFetch(
      holding: replica.cache.token(key)?.minted, minRemaining: scenario.rules.minRemaining, deadline: job.deadline)
    replica.errands[key] = Replica.Errand(job: job, fetch: fetch)
    plan(.storeClaims(key, incarnation: job.incarnation, turn: 0), in: storeLatency())
  }

  mutating func ask(_ job: Job) throws(Violation) {
    try checkAsk(job)
    fleet.asks(job.key)
    replica.asking.insert(job.key)
    let job = Job(
      key: job.key, asked: now, deadline: job.deadline, incarnation: job.incarnation, claim: job.claim,
      credentials: replica.credentials)
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

  /// As `KeySetSource.candidates` and `TokenSource.withKeys` do it.
  mutating func verify(
    _ job: Job, _ token: SimulatedTenant.Token, _ quota: [QuotaBucket]
  ) throws(Violation) {
    guard job.incarnation == replica.incarnation else { return }
    let isKnown = replica.keySet.current?.contains(token.kid) ?? false
    if replica.keySetBusy || replica.keySet.wantsFetch(isKnown: isKnown, now: now) {
      replica.held.append((job, token, quota))
      return try fetchKeySet()
    }
    if isKnown { return try accept(job, token, quota) }
    if case .wait(let retry) = replica.keySet.step(isKnown: false, asked: job.asked, now: now), retry < job.deadline {
      return plan(.verify(job, token, quota), at: retry)
    }
    let cause: TokenError.Cause = replica.keySet.isFailing ? .upstreamUnavailable : .tokenValidationFailed
    try fetched(job, .failure(TokenError(cause: cause, message: "no key")))
  }

  mutating func fetchKeySet() throws(Violation) {
    if replica.keySetBusy { return }
    if let last = replica.keySetAskedAt, !replica.keySetFailed, last.duration(to: now) < .seconds(29) {
      throw violation("the key set is fetched at most once in 30 s", "again after \(last.duration(to: now))")
    }
    replica.keySetBusy = true
    replica.keySetAskedAt = now
    plan(.keySetAnswered, in: Double.random(in: 0.02...0.4, using: &random))
  }

  mutating func keySetAnswered() throws(Violation) {
    guard replica.keySetBusy else { return }
    replica.keySetBusy = false
    replica.keySetFailed = tenant.hidesKeySet(now)
    if replica.keySetFailed {
      replica.keySet.failed(now: now)
    } else {
      replica.keySet.fetched(tenant.publishedKeys, now: now)
      let asked = replica.keySetAskedAt ?? now
      try perform(replica.cache.keySetChanged(tenant.publishedKeys, client: "default", asked: asked, now: now))
      for (key, token) in replica.table where token.minted.mintedAt < asked {
        guard let kid = token.minted.keyID, !tenant.publishedKeys.contains(kid) else { continue }
        throw violation("a token whose key is revoked is evicted", "key \(key.audience)")
      }
    }
    let waiting = replica.held
    replica.held = []
    for (job, token, quota) in waiting { try verify(job, token, quota) }
  }

  mutating func accept(
    _ job: Job, _ token: SimulatedTenant.Token, _ quota: [QuotaBucket]
  ) throws(Violation) {
    // The tenant's dates are true; the broker sees them by its own wall clock.
    let wallNow = Double(now.nanoseconds) / 1e9 + replica.wallOffset
    let exp = Double(token.expiresAt.nanoseconds) / 1e9
    if exp <= wallNow || Double(job.asked.nanoseconds) / 1e9 > wallNow + 60 {
      return try fetched(job, .failure(TokenError(cause: .tokenValidationFailed, message: "the clocks differ")))
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
    fleet.answered(job.key)
    replica.asking.remove(job.key)
    if store != nil {
      replica.errands[job.key] = nil
      plan(.storeSaved(job, result), in: storeLatency())
    }
    try finish(job, result)
  }

  /// Whether the broker has been given other credentials since.
  func isOutdated(_ job: Job) -> Bool { job.credentials != replica.credentials }

  /// What a fetch came to, whoever asked.
  mutating func finish(_ job: Job, _ result: Result<MintedToken, TokenError>) throws(Violation) {
    replica.inFlight.remove(job.key)
    if case .failure(let error) = result, error.cause == .brokerMisconfigured, isOutdated(job) {
      note("failed \(job.key.audience) by credentials that are gone")
      // What those who wait want is still wanted.
      let isForced = replica.callers.values.contains { $0.key == job.key && !$0.demand.isPlain }
      if isForced { replica.forced.insert(job.key) }
    } else if case .failure(let error) = result {
      note("failed \(job.key.audience) \(error.cause.rawValue)")
      let previous = replica.lastFailure[job.key]
      // What is long past is forgotten.
      let repeats = previous.map { $0.error.cause == error.cause && $0.at.duration(to: now) < .seconds(600) } ?? false
      let streak = repeats ? (previous?.streak ?? 0) + 1 : 1
      replica.lastFailure[job.key] = (error, now, streak)
      try checkRefusal(job.key, error)
      // What was sent before the first answer says no more than that.
      if error.cause == .brokerMisconfigured, replica.credentialsRefusedAt.map({ $0 < job.asked }) ?? true {
        replica.credentialsRefusedAt = now
      }
      if error.cause == .upstreamRateLimited, !error.isOfOrganization, let wait = error.retryAfter {
        replica.limitHeardAt = now
        replica.limitedUntil = max(replica.limitedUntil ?? now, now.advanced(by: min(wait, .seconds(3600))))
      }
    } else {
      replica.outageSince = nil
    }
    try perform(replica.cache.fetched(job.key, result, now: now))
  }
}
