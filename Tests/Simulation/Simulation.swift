import Clocks
import HeapModule
import OAuth
import TokenBroker

/// A promise that was broken, and when.
package struct Violation: Error, Sendable, CustomStringConvertible {
  package let promise: String
  package let detail: String
  package let at: Double
  package var description: String { "at \(at) s: \(promise): \(detail)" }
}

/// Plays a scenario through the broker's pure parts and checks at every step what callers and tenant were promised.
package struct Simulation {
  private enum Happening {
    case script(Scenario.Step)
    case tenantAsked(Job)
    case tenantAnswered(Job, SimulatedTenant.Answer)
    case keySetAnswered
    case verify(Job, SimulatedTenant.Token, [QuotaBucket])
    case alarm
  }

  /// A request to the token endpoint, as `TokenSource` would carry it out.
  private struct Job {
    let key: TokenKey
    let asked: Instant
    let deadline: Instant
    let incarnation: Int
  }

  private struct Planned: Comparable {
    let at: Instant
    let order: Int
    let happening: Happening

    static func < (left: Planned, right: Planned) -> Bool { (left.at, left.order) < (right.at, right.order) }
    static func == (left: Planned, right: Planned) -> Bool { left.order == right.order }
  }

  private struct Caller {
    let key: TokenKey
    let demand: Demand
    let deadline: Instant
  }

  private let scenario: Scenario
  private let start = Instant(nanoseconds: 1_000_000_000_000)
  private var now: Instant
  private var random: SeededGenerator
  private var agenda = Heap<Planned>()
  private var order = 0
  private var tracing = false
  package private(set) var trace: [String] = []
  /// Events played, for the report.
  package private(set) var eventCount = 0

  private var cache: TokenCache
  private var keySet = KeySetCache<Set<String>>()
  private var tenant: SimulatedTenant
  private var incarnation = 0
  /// What the event loops hand out.
  private var table: [TokenKey: CachedToken] = [:]
  private var truth: [String: SimulatedTenant.Token] = [:]
  private var wallOffset = 0.0
  private var alarmAt = Instant.distantFuture
  private var keySetBusy = false
  private var keySetAskedAt: Instant?
  private var keySetFailed = false
  private var held: [(job: Job, token: SimulatedTenant.Token, quota: [QuotaBucket])] = []

  // What the promises are checked against.
  private var callers: [UInt64: Caller] = [:]
  private var lastCaller: UInt64 = 0
  private var inFlight: Set<TokenKey> = []
  /// By this incarnation's cache.
  private var answered = 0
  private var lastMint: [TokenKey: CachedToken] = [:]
  /// What is remembered may have had to make room.
  private var forgetsUntil = Instant(nanoseconds: 0)
  private var lastFailure: [TokenKey: (error: TokenError, at: Instant, streak: Int)] = [:]
  private var forced: Set<TokenKey> = []
  private var fetches: [Instant] = []
  private var credentialsRefusedAt: Instant?
  /// The tenant was heard to say that nothing should come before.
  private var limitedUntil: Instant?
  private var outageFetches = 0
  private var outageSince: Instant?
  private var retryRatios: [Double] = []

  package init(_ scenario: Scenario, tracing: Bool = false) {
    self.scenario = scenario
    self.tracing = tracing
    now = start
    random = SeededGenerator(seed: scenario.seed ^ 0x5eed)
    cache = TokenCache(rules: scenario.rules, seed: scenario.seed)
    tenant = SimulatedTenant(quotaPerHour: scenario.quotaPerHour)
    for event in scenario.events { plan(.script(event.step), at: start.advanced(by: .seconds(event.at))) }
  }

  /// Throws the first promise that is broken.
  package mutating func run() throws(Violation) {
    let end = start.advanced(by: .seconds(scenario.end + 60))
    while let next = agenda.popMin(), next.at <= end {
      now = next.at
      eventCount += 1
      try play(next.happening)
      try checkWaiters()
    }
    guard callers.isEmpty else { throw violation("every waiter is answered", "\(callers.count) were not") }
    if retryRatios.count >= 4, Set(retryRatios.map { Int($0 * 1000) }).count == 1 {
      throw violation(
        "back-off has jitter", "\(retryRatios.count) retries came after the same share of the longest wait")
    }
  }

  // MARK: The course of things

  private mutating func plan(_ happening: Happening, at instant: Instant) {
    order += 1
    agenda.insert(Planned(at: instant, order: order, happening: happening))
  }

  private mutating func plan(_ happening: Happening, in seconds: Double) {
    plan(happening, at: now.advanced(by: .seconds(seconds)))
  }

  private mutating func note(_ line: @autoclosure () -> String) {
    if tracing { trace.append("\(Double(now.nanoseconds - start.nanoseconds) / 1e9)  \(line())") }
  }

  private mutating func play(_ happening: Happening) throws(Violation) {
    switch happening {
    case .script(let step): try play(step)
    case .tenantAsked(let job): arrive(job)
    case .tenantAnswered(let job, let answer): try answered(job, answer)
    case .keySetAnswered: try keySetAnswered()
    case .verify(let job, let token, let quota): try verify(job, token, quota)
    case .alarm:
      alarmAt = .distantFuture
      try perform(cache.advance(now: now))
    }
  }

  private mutating func play(_ step: Scenario.Step) throws(Violation) {
    note("\(step)")
    switch step {
    case .call(let key, let count, let ask, let patience):
      for _ in 0..<count { try call(self.key(key), ask, patience) }
    case .fault(let fault, let lasting):
      tenant.begin(fault, until: now.advanced(by: .seconds(lasting)))
    case .rotateKey(let revoking):
      tenant.rotateKey(revoking: revoking)
      plan(.script(.pollKeySet), in: 400)
    case .pollKeySet:
      if keySet.wantsFetch(isKnown: true, now: now) { try fetchKeySet() }
    case .stepWallClock(let seconds):
      wallOffset += seconds
    case .restart:
      restart()
    case .changeCredentials:
      // A refusal that came after a limit took its place, and goes with the credentials.
      (credentialsRefusedAt, limitedUntil) = (nil, nil)
      for key in lastFailure.keys where lastFailure[key]?.error.code == .brokerMisconfigured { lastFailure[key] = nil }
      try perform(cache.credentialsChanged(client: "default", now: now))
    case .flood(let strangers):
      // So many that what is remembered of the others may have to go.
      if strangers > scenario.rules.maxEntries / 2 { forgetsUntil = now.advanced(by: .seconds(120)) }
      for number in 0..<strangers {
        let key = TokenKey(client: "default", grant: Grant(audience: "made-up-\(number)-\(order)"))
        try ask(key, Demand(), patience: 30)
      }
    }
  }

  private func key(_ number: Int) -> TokenKey {
    TokenKey(client: "default", grant: Grant(audience: "\(number)"))
  }

  private mutating func restart() {
    incarnation += 1
    cache = TokenCache(rules: scenario.rules, seed: random.next())
    keySet = KeySetCache()
    (keySetBusy, keySetAskedAt) = (false, nil)
    (table, lastMint, lastFailure, callers) = ([:], [:], [:], [:])
    (inFlight, forced, fetches, held) = ([], [], [], [])
    (credentialsRefusedAt, limitedUntil, outageSince) = (nil, nil, nil)
    alarmAt = .distantFuture
    answered = 0
  }

  /// As an event loop does: from its table if it can, else the broker is asked.
  private mutating func call(_ key: TokenKey, _ ask: Scenario.Ask, _ patience: Double) throws(Violation) {
    var demand = Demand()
    switch ask {
    case .any: break
    case .fresh: demand.freshness = .new
    case .lasting(let seconds): demand.minTTL = .seconds(seconds)
    }
    if demand.isPlain, let token = table[key], token.isServable(at: now) {
      token.markUsed(at: now)
      try checkServed(token)
      if now >= token.refreshAt, token.isFirstUseWhenDue() { try perform(cache.used(key, now: now)) }
      return
    }
    try self.ask(key, demand, patience: patience)
  }

  private mutating func ask(_ key: TokenKey, _ demand: Demand, patience: Double) throws(Violation) {
    lastCaller += 1
    let deadline = now.advanced(by: .seconds(patience))
    callers[lastCaller] = Caller(key: key, demand: demand, deadline: deadline)
    if !demand.isPlain { forced.insert(key) }
    try perform(cache.request(key, demand, waiter: lastCaller, deadline: deadline, now: now))
  }

  private mutating func perform(_ actions: [TokenCache.Action]) throws(Violation) {
    for action in actions {
      switch action {
      case .fetch(let key): try fetch(key)
      case .answer(let waiter, let result):
        answered += 1
        try answer(waiter, result)
      case .publish(let token):
        note("publish \(token.minted.accessToken.value)")
        table[token.key] = token
        lastMint[token.key] = token
        lastFailure[token.key] = nil
      case .withdraw(let key):
        try checkWithdrawal(key)
        table[key] = nil
      }
    }
    if answered != cache.lookups.all { throw violation("each answer is one look-up", "\(answered): \(cache.lookups)") }
    // What is waited for is kept, whatever the limit.
    let bound = scenario.rules.maxEntries + callers.count + inFlight.count + 1
    if cache.count > bound { throw violation("memory is bounded", "\(cache.count) entries") }
    if let next = cache.nextEvent, next < alarmAt {
      alarmAt = next
      plan(.alarm, at: max(next, now))
    }
  }

  // MARK: The way of a request

  private mutating func fetch(_ key: TokenKey) throws(Violation) {
    note("fetch \(key.grant.audience)")
    try checkFetch(key)
    inFlight.insert(key)
    forced.remove(key)
    let job = Job(key: key, asked: now, deadline: now.advanced(by: .seconds(30)), incarnation: incarnation)
    plan(.tenantAsked(job), in: Double.random(in: 0.01...0.1, using: &random))
  }

  private mutating func arrive(_ job: Job) {
    let slow = tenant.isSlow(now)
    let latency = slow ? Double.random(in: 1...40, using: &random) : Double.random(in: 0.02...0.3, using: &random)
    let number = Int(job.key.grant.audience)
    let lifetime = number.map { scenario.lifetimes[$0] } ?? 0
    if latency > 10 {
      let late = SimulatedTenant.Answer.refused(.timedOut)
      return plan(.tenantAnswered(job, late), in: 10)
    }
    plan(.tenantAnswered(job, tenant.answer(number, lifetime: lifetime, now: now, random: &random)), in: latency)
  }

  private mutating func answered(_ job: Job, _ answer: SimulatedTenant.Answer) throws(Violation) {
    guard job.incarnation == incarnation else { return }
    switch answer {
    case .refused(let error): try fetched(job, .failure(error))
    case .token(let token, let quota): try verify(job, token, quota)
    }
  }

  /// As `KeySetSource.candidates` and `TokenSource.withKeys` do it.
  private mutating func verify(
    _ job: Job, _ token: SimulatedTenant.Token, _ quota: [QuotaBucket]
  ) throws(Violation) {
    guard job.incarnation == incarnation else { return }
    let isKnown = keySet.current?.contains(token.kid) ?? false
    if keySetBusy || keySet.wantsFetch(isKnown: isKnown, now: now) {
      held.append((job, token, quota))
      return try fetchKeySet()
    }
    if isKnown { return try accept(job, token, quota) }
    if case .wait(let retry) = keySet.step(isKnown: false, asked: job.asked, now: now), retry < job.deadline {
      return plan(.verify(job, token, quota), at: retry)
    }
    let code: TokenError.Code = keySet.isFailing ? .upstreamUnavailable : .tokenValidationFailed
    try fetched(job, .failure(TokenError(code: code, message: "no key")))
  }

  private mutating func fetchKeySet() throws(Violation) {
    if keySetBusy { return }
    if let last = keySetAskedAt, !keySetFailed, last.duration(to: now) < .seconds(29) {
      throw violation("the key set is fetched at most once in 30 s", "again after \(last.duration(to: now))")
    }
    keySetBusy = true
    keySetAskedAt = now
    plan(.keySetAnswered, in: Double.random(in: 0.02...0.4, using: &random))
  }

  private mutating func keySetAnswered() throws(Violation) {
    guard keySetBusy else { return }
    keySetBusy = false
    keySetFailed = tenant.hidesKeySet(now)
    if keySetFailed {
      keySet.failed(now: now)
    } else {
      keySet.fetched(tenant.publishedKeys, now: now)
      let asked = keySetAskedAt ?? now
      try perform(cache.keySetChanged(tenant.publishedKeys, client: "default", asked: asked, now: now))
      for (key, token) in table where token.minted.mintedAt < asked {
        guard let kid = token.minted.keyID, !tenant.publishedKeys.contains(kid) else { continue }
        throw violation("a token whose key is revoked is evicted", "key \(key.grant.audience)")
      }
    }
    let waiting = held
    held = []
    for (job, token, quota) in waiting { try verify(job, token, quota) }
  }

  private mutating func accept(
    _ job: Job, _ token: SimulatedTenant.Token, _ quota: [QuotaBucket]
  ) throws(Violation) {
    // The tenant's dates are true; the broker sees them by its own wall clock.
    let wallNow = Double(now.nanoseconds) / 1e9 + wallOffset
    let exp = Double(token.expiresAt.nanoseconds) / 1e9
    if exp <= wallNow || Double(job.asked.nanoseconds) / 1e9 > wallNow + 60 {
      return try fetched(job, .failure(TokenError(code: .tokenValidationFailed, message: "the clocks differ")))
    }
    let stated = job.asked.advanced(by: .seconds(token.expiresIn))
    let proven = MintedToken.expiry(exp: exp, now: now, wallNow: wallNow)
    // A clock set back hides that some servers round up; then nobody could know.
    let isKnowable =
      wallOffset >= 0
      || token.expiresIn % 10 == 0 && Double(token.expiresIn) <= exp - Double(job.asked.nanoseconds) / 1e9 + 1
    truth[token.name] = SimulatedTenant.Token(
      name: token.name, kid: token.kid,
      expiresAt: isKnowable ? token.expiresAt : token.expiresAt.advanced(by: .seconds(31)), expiresIn: token.expiresIn)
    let minted = MintedToken(
      accessToken: AccessToken(token.name), scope: nil, keyID: token.kid, mintedAt: job.asked,
      expiresAt: min(stated, proven), quota: quota, upstreamRequestID: nil)
    try fetched(job, .success(minted))
  }

  private mutating func fetched(_ job: Job, _ result: Result<MintedToken, TokenError>) throws(Violation) {
    inFlight.remove(job.key)
    if case .failure(let error) = result {
      note("failed \(job.key.grant.audience) \(error.code.rawValue)")
      let previous = lastFailure[job.key]
      // What is long past is forgotten.
      let repeats = previous.map { $0.error.code == error.code && $0.at.duration(to: now) < .seconds(600) } ?? false
      let streak = repeats ? (previous?.streak ?? 0) + 1 : 1
      lastFailure[job.key] = (error, now, streak)
      // What was sent before the first answer says no more than that.
      if error.code == .brokerMisconfigured, credentialsRefusedAt.map({ $0 < job.asked }) ?? true {
        credentialsRefusedAt = now
      }
      if error.code == .upstreamRateLimited, let wait = error.retryAfter {
        limitedUntil = max(limitedUntil ?? now, now.advanced(by: min(wait, .seconds(3600))))
      }
    } else {
      outageSince = nil
    }
    try perform(cache.fetched(job.key, result, now: now))
  }

  // MARK: What was promised

  private func violation(_ promise: String, _ detail: String) -> Violation {
    Violation(promise: promise, detail: detail, at: Double(now.nanoseconds - start.nanoseconds) / 1e9)
  }

  private mutating func answer(
    _ waiter: UInt64, _ result: Result<CachedToken, TokenError>
  ) throws(Violation) {
    guard let caller = callers.removeValue(forKey: waiter) else {
      throw violation("every waiter is answered once", "waiter \(waiter) was answered again")
    }
    switch result {
    case .success(let token):
      note("answer \(waiter) \(token.minted.accessToken.value)")
      if token.key != caller.key { throw violation("a caller gets its own key's token", "\(token.key)") }
      try checkServed(token)
      if caller.demand.minTTL > now.duration(to: token.minted.expiresAt),
        token.minted.mintedAt.duration(to: now) >= scenario.rules.minRefreshInterval,
        token !== lastMint[caller.key]
      {
        throw violation("min_ttl holds, or the token is the freshest there is", "waiter \(waiter)")
      }
    case .failure(let error):
      note("answer \(waiter) \(error.code.rawValue)")
      if let token = table[caller.key], token.isServable(at: now), caller.demand.isPlain || error.code.isPassing,
        now.duration(to: token.minted.expiresAt) >= caller.demand.minTTL
      {
        throw violation("no caller sees an error while a usable token is held", "\(error.code) for \(caller.key)")
      }
      let number = Int(caller.key.grant.audience)
      if number != nil, error.code != .overloaded, now >= wholeFrom, error.code != .upstreamTimeout || isPatient(caller)
      {
        throw violation(
          "service is whole again after the last fault", "\(error.code), key \(caller.key.grant.audience)")
      }
    }
  }

  private func isPatient(_ caller: Caller) -> Bool { caller.deadline.nanoseconds - now.nanoseconds > 20_000_000_000 }

  /// An hour's quota or ten minutes of a refusal may have to pass.
  private var wholeFrom: Instant {
    let hour = scenario.quotaPerHour == nil ? 700.0 : 4_000_000
    return start.advanced(by: .seconds(scenario.calmFrom + hour + abs(wallOffset) * 1e9))
  }

  private func checkServed(_ token: CachedToken) throws(Violation) {
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
  private func checkWithdrawal(_ key: TokenKey) throws(Violation) {
    guard let token = table[key], token.isServable(at: now), now > forgetsUntil else { return }
    if let kid = token.minted.keyID, keySet.current?.contains(kid) == true {
      throw violation("a usable token is kept, whatever happens upstream", token.minted.accessToken.value)
    }
  }

  private mutating func checkWaiters() throws(Violation) {
    if callers.count > scenario.rules.maxWaiters { throw violation("waiters are bounded", "\(callers.count)") }
    if eventCount % 8 == 0, let late = callers.first(where: { $0.value.deadline < now }) {
      throw violation("every waiter is answered by its deadline", "waiter \(late.key)")
    }
  }

  private mutating func checkFetch(_ key: TokenKey) throws(Violation) {
    if inFlight.contains(key) { throw violation("one request in flight for a key", key.grant.audience) }
    if inFlight.count >= scenario.rules.client.maxConcurrent {
      throw violation("requests in flight are bounded", "\(inFlight.count)")
    }
    fetches = fetches.filter { $0.duration(to: now) < .seconds(60) } + [now]
    if fetches.count > 2 * scenario.rules.client.mintsPerMinute + 1 {
      throw violation("mints a minute are bounded", "\(fetches.count)")
    }
    try checkRetry(key)
    try checkReason(key)
    try checkTenantIsSpared(key)
  }

  private mutating func checkRetry(_ key: TokenKey) throws(Violation) {
    guard let (error, at, streak) = lastFailure[key], at > forgetsUntil else { return }
    let waited = at.duration(to: now)
    if !error.code.isPassing, error.code != .brokerMisconfigured, waited < .seconds(60) {
      throw violation("a definite refusal is remembered for a minute", "\(error.code) asked again after \(waited)")
    }
    // Near the end of a token's life there is no time for patience.
    let last = lastMint[key]?.servableUntil ?? .distantFuture
    let isPressing = at < last && at.duration(to: last) < .seconds(200)
    if error.code == .upstreamUnavailable, streak <= 6, waited < .seconds(20), !isPressing {
      let longest = 0.25 * Double(1 << (streak - 1))
      let seconds = Double(waited.nanoseconds) / 1e9
      if seconds < longest / 11 {
        throw violation("a passing fault backs off", "\(key.grant.audience) after \(waited)")
      }
      if seconds <= longest * 1.01 { retryRatios.append(seconds / longest) }
    }
  }

  /// A token that is still good is replaced only in the last part of its life, on demand, or after its key was revoked.
  private func checkReason(_ key: TokenKey) throws(Violation) {
    guard let last = lastMint[key], table[key] != nil else { return }
    let age = last.minted.mintedAt.duration(to: now)
    let lifetime = last.minted.mintedAt.duration(to: last.minted.expiresAt)
    if now < last.refreshAt, !forced.contains(key) {
      throw violation("a token is minted only when one is due", "\(key.grant.audience), aged \(age) of \(lifetime)")
    }
    if forced.contains(key), now < last.refreshAt, age < scenario.rules.minRefreshInterval {
      throw violation("nobody can make the broker mint on every call", "aged \(age)")
    }
    if last.refreshAt < last.minted.mintedAt.advanced(by: lifetime / 5) {
      throw violation("no token is born stale", "due after \(last.minted.mintedAt.duration(to: last.refreshAt))")
    }
  }

  private mutating func checkTenantIsSpared(_ key: TokenKey) throws(Violation) {
    if let refused = credentialsRefusedAt, refused.duration(to: now) < .seconds(60) {
      throw violation("refused credentials are not tried again at once", "after \(refused.duration(to: now))")
    }
    if let limitedUntil, now < limitedUntil {
      throw violation("a limit is kept for as long as the tenant told", "\(now.duration(to: limitedUntil)) early")
    }
    if tenant.isDown(now) {
      if outageSince == nil { (outageSince, outageFetches) = (now, 0) }
      outageFetches += 1
      let seconds = Double((outageSince ?? now).duration(to: now).nanoseconds) / 1e9
      if Double(outageFetches) > 40 + seconds / 3 {
        throw violation("an outage is not met with a storm", "\(outageFetches) requests in \(seconds) s")
      }
    } else if outageSince != nil, inFlight.isEmpty {
      outageSince = nil
    }
  }
}
