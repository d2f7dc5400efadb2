import Basics
import HeapModule
import OAuth
import BrokerCore

/// A promise that was broken, and when.
package struct Violation: Error, Sendable, CustomStringConvertible {
  package let promise: String
  package let detail: String
  package let at: Double
  package var description: String { "at \(at) s: \(promise): \(detail)" }
}

/// Plays a scenario through the broker's pure parts and checks at every step what callers and tenant were promised.
package struct Simulation {
  typealias Job = Replica.Job
  typealias Caller = Replica.Caller

  indirect enum Happening {
    case script(Scenario.Step)
    case tenantAsked(Job)
    case tenantAnswered(Job, SimulatedTenant.Answer)
    case keySetAnswered
    case verify(Job, SimulatedTenant.Token, [QuotaBucket])
    case askAfterKeys(Job)
    case alarm
    case storeLoaded(TokenKey, incarnation: Int)
    case storeClaims(TokenKey, incarnation: Int, turn: Int)
    case storeRenews(StoreClaim, incarnation: Int, TokenKey)
    case storeSaved(Job, Result<MintedToken, TokenError>?)
    case storeRecovers(incarnation: Int)
    case storeCounts(MintCount.Report, incarnation: Int)
  }

  private struct Planned: Comparable {
    let at: Instant
    let order: Int
    let replica: Int
    let happening: Happening

    static func < (left: Planned, right: Planned) -> Bool { (left.at, left.order) < (right.at, right.order) }
    static func == (left: Planned, right: Planned) -> Bool { left.order == right.order }
  }

  let scenario: Scenario
  let start = Instant(nanoseconds: 1_000_000_000_000)
  var now: Instant
  var random: SeededGenerator
  private var agenda = Heap<Planned>()
  private var order = 0
  private var tracing = false
  package private(set) var trace: [String] = []
  /// Events played, for the report.
  package private(set) var eventCount = 0

  private let replicas: [Replica]
  /// The one that something happens to.
  private(set) var replica: Replica
  var tenant: SimulatedTenant
  /// nil: each broker is for itself, and there is one.
  var store: SimulatedStore?
  var truth: [String: SimulatedTenant.Token] = [:]
  private var lastCaller: UInt64 = 0
  /// What the fleet as a whole has asked of the tenant.
  var fleet = FleetRecord()

  package init(_ scenario: Scenario, tracing: Bool = false) {
    self.scenario = scenario
    self.tracing = tracing
    now = start
    random = SeededGenerator(seed: scenario.seed ^ 0x5eed)
    replicas = (0..<scenario.replicas).map { [start] number in
      Replica(
        number,
        TokenCache(rules: scenario.rules, hasStore: scenario.hasStore, seed: scenario.seed &+ UInt64(number)),
        now: start)
    }
    replica = replicas[0]
    store = scenario.hasStore ? SimulatedStore(scenario.storeKind) : nil
    tenant = SimulatedTenant(quota: scenario.quota)
    for event in scenario.events {
      replica = replicas[event.replica % replicas.count]
      plan(.script(event.step), at: start.advanced(by: .seconds(event.at)))
    }
  }

  /// All brokers have told what they have minted.
  var isCountSettled: Bool { replicas.allSatisfy { !$0.cache.isCountOutdated(of: "default") } }

  /// The most that any broker knows to have been minted.
  var highestCount: Int { replicas.reduce(0) { max($0, $1.cache.mintsUsed(of: "default")) } }

  /// How many tokens the tenant has given.
  package var mints: Int { tenant.tokenCount }

  /// Throws the first promise that is broken.
  package mutating func run() throws(Violation) {
    let end = start.advanced(by: .seconds(scenario.end + 60))
    while let next = agenda.popMin(), next.at <= end {
      now = next.at
      replica = replicas[next.replica]
      eventCount += 1
      try play(next.happening)
      try checkWaiters()
    }
    for replica in replicas where !replica.callers.isEmpty {
      throw violation("every waiter is answered", "\(replica.callers.count) were not")
    }
    let retryRatios = replicas.flatMap(\.retryRatios)
    if retryRatios.count >= 4, Set(retryRatios.map { Int($0 * 1000) }).count == 1 {
      throw violation(
        "back-off has jitter", "\(retryRatios.count) retries came after the same share of the longest wait")
    }
  }

  // MARK: The course of things

  mutating func plan(_ happening: Happening, at instant: Instant) {
    order += 1
    agenda.insert(Planned(at: instant, order: order, replica: replica.number, happening: happening))
  }

  mutating func plan(_ happening: Happening, in seconds: Double) {
    plan(happening, at: now.advanced(by: .seconds(seconds)))
  }

  /// Does something as another broker.
  mutating func at(_ number: Int, _ body: (inout Simulation) -> Void) {
    let present = replica
    replica = replicas[number]
    body(&self)
    replica = present
  }

  mutating func note(_ line: @autoclosure () -> String) {
    if tracing { trace.append("\(Double(now.nanoseconds - start.nanoseconds) / 1e9)  \(line())") }
  }

  private mutating func play(_ happening: Happening) throws(Violation) {
    switch happening {
    case .script(let step): try play(step)
    case .tenantAsked(let job): arrive(job)
    case .tenantAnswered(let job, let answer): try answered(job, answer)
    case .keySetAnswered: try keySetAnswered()
    case .verify(let job, let token, let quota): try verify(job, token, quota)
    case .askAfterKeys(let job): try askWithKeys(job)
    case .alarm:
      replica.alarmAt = .distantFuture
      try perform(replica.cache.advance(now: now))
    case .storeLoaded(let key, let incarnation):
      guard incarnation == replica.incarnation else { return }
      if try isReadingKeys(for: key) { plan(happening, in: Self.keyWait) } else { try loaded(key) }
    case .storeClaims(let key, let incarnation, let turn):
      guard incarnation == replica.incarnation else { return }
      if try isReadingKeys(for: key) { plan(happening, in: Self.keyWait) } else { try claim(key, turn: turn) }
    case .storeRenews(let claim, let incarnation, let key):
      if incarnation == replica.incarnation { renew(claim, key) }
    case .storeSaved(let job, let result):
      if job.incarnation == replica.incarnation { saved(job, result) }
    case .storeRecovers(let incarnation):
      if incarnation == replica.incarnation { restore() }
    case .storeCounts(let report, let incarnation):
      if incarnation == replica.incarnation { try counted(report) }
    }
  }

  private mutating func play(_ step: Scenario.Step) throws(Violation) {
    note("\(step)")
    switch step {
    case .call(let key, let count, let ask, let patience):
      for _ in 0..<count { try call(self.key(key), ask, patience) }
    case .fault(let fault, let lasting):
      tenant.begin(fault, from: now, until: now.advanced(by: .seconds(lasting)))
    case .rotateKey(let revoking):
      tenant.rotateKey(revoking: revoking)
      let phase = Double.random(in: 0..<300, using: &random)
      for number in replicas.indices {
        at(number) { [now, tenant] simulation in
          for round in 0..<3 { simulation.plan(.script(.pollKeySet), in: phase + 300 * Double(round)) }
          simulation.plan(.script(.revocationIsDue(revoked: now, published: tenant.publishedKeys.sorted())), in: 601.5)
        }
      }
    case .pollKeySet:
      let isNeeded = !replica.cache.clientsWithSignedTokens.isEmpty
      if replica.keySet.wantsPoll(isNeeded: isNeeded, now: now) { try fetchKeySet(isForIssued: false) }
    case .revocationIsDue(let revoked, let published): try checkRevocation(revoked, published)
    case .reload(let isOther):
      // With it may come other credentials.
      replica.credentials += 1
      forgetRefusals()
      let retired = replica.reload(isOther: isOther, now: now)
      try perform(replica.cache.configure(scenario.rules, prefetched: [], forgetting: retired, now: now))
    case .troubleStore(let trouble, let lasting):
      fleet.storeWasTroubledAt = max(fleet.storeWasTroubledAt, now.advanced(by: .seconds(lasting)))
      store?.begin(trouble, until: now.advanced(by: .seconds(lasting)))
      fleet.storeTroubles.append(.seconds(lasting))
      // A limit that is gone from the store is known to whoever met it, and to nobody else.
      if [.loses, .losesPart(0), .failsOver].contains(trouble) { fleet.limitedUntil = nil }
      planRecovery(in: lasting)
    case .stepWallClock(let seconds):
      fleet.hasTrueClocks = false
      replica.wallOffset += seconds
      for key in replica.clockRefusals.keys { replica.lastFailure[key] = nil }
      try perform(replica.cache.clockStepped(now: now))
    case .restart:
      restart()
    case .changeCredentials:
      replica.credentials += 1
      forgetRefusals()
      try perform(replica.cache.credentialsChanged(client: "default", now: now))
    case .flood(let unproven, let payer):
      // So many that what is remembered of the others may have to go.
      if unproven > scenario.rules.maxEntries / 2 { replica.forgetsUntil = now.advanced(by: .seconds(120)) }
      for number in 0..<unproven {
        let key = TokenKey(client: "default", grant: Grant(audience: "\(payer)-\(number)-\(order)"))
        try ask(key, Demand(), patience: 30)
      }
    }
  }

  /// What was refused of credentials may be tried again at once.
  private func forgetRefusals() {
    // A refusal that came after a limit took its place, and goes with the credentials.
    (replica.credentialsRefusedAt, replica.limitedUntil) = (nil, nil)
    for key in replica.lastFailure.keys where replica.lastFailure[key]?.error.cause == .brokerMisconfigured {
      replica.lastFailure[key] = nil
    }
  }

  private func key(_ number: Int) -> TokenKey {
    let organization = scenario.quota?.isOfOrganization == true && number % 2 == 1 ? "org" : nil
    return TokenKey(client: "default", grant: Grant(audience: "\(number)", organization: organization))
  }

  /// Who asks for a key: for made-up ones it is in their audience. Every fourth key stands in the configuration.
  func payer(of key: TokenKey) -> Payer? {
    if let number = Int(key.audience) { return number % 4 == 0 ? nil : .caller("\(number % 4)") }
    return key.audience.first == "0" ? .anyone : .caller(String(key.audience.prefix(1)))
  }

  private mutating func restart() {
    fleet.brokerDiedAt = now
    fleet.restarts += 1
    for key in replica.asking { fleet.answered(key) }
    replica.restart(TokenCache(rules: scenario.rules, hasStore: scenario.hasStore, seed: random.next()), now: now)
  }

  /// As an event loop does: from its table if it can, else the broker is asked.
  private mutating func call(_ key: TokenKey, _ ask: Scenario.Ask, _ patience: Double) throws(Violation) {
    var demand = Demand()
    switch ask {
    case .any: break
    case .fresh: demand.freshness = .new
    case .lasting(let seconds): demand.minTTL = .seconds(seconds)
    }
    if demand.isPlain, let token = replica.table[key], token.isServable(at: now) {
      token.markUsed(at: now)
      try checkServed(token)
      if now >= token.refreshAt, token.isFirstUseWhenDue() { try perform(replica.cache.used(key, now: now)) }
      return
    }
    try self.ask(key, demand, patience: patience)
  }

  private mutating func ask(_ key: TokenKey, _ demand: Demand, patience: Double) throws(Violation) {
    lastCaller += 1
    let deadline = now.advanced(by: .seconds(patience))
    replica.callers[lastCaller] = Caller(key: key, demand: demand, deadline: deadline)
    if !demand.isPlain, !isBeyondReach(demand, of: key) { replica.forced.insert(key) }
    try perform(
      replica.cache.request(
        key, demand, waiter: lastCaller, payer: payer(of: key), deadline: deadline, now: now))
  }

  mutating func perform(_ actions: [TokenCache.Action]) throws(Violation) {
    for action in actions {
      switch action {
      case .load(let key): load(key)
      case .fetch(let key): try fetch(key)
      case .answer(let waiter, let result):
        replica.answered += 1
        try answer(waiter, result)
      case .publish(let token):
        note("publish \(token.minted.accessToken.value)")
        if let held = replica.table[token.key], held.minted.mintedAt > token.minted.mintedAt {
          throw violation("no token gives way to an older one", token.minted.accessToken.value)
        }
        replica.table[token.key] = token
        replica.lastMint[token.key] = token
        replica.lastFailure[token.key] = nil
        replica.proven.insert(token.key)
        if !token.minted.isFromStore { fleet.minted(token) }
      case .withdraw(let key):
        try checkWithdrawal(key)
        replica.table[key] = nil
      }
    }
    if replica.answered != replica.cache.lookups.all {
      throw violation("each answer is one look-up", "\(replica.answered): \(replica.cache.lookups)")
    }
    // What is waited for is kept, whatever the limit.
    let bound = scenario.rules.maxEntries + replica.callers.count + replica.inFlight.count + 1
    if replica.cache.count > bound { throw violation("memory is bounded", "\(replica.cache.count) entries") }
    if let next = replica.cache.nextEvent, next < replica.alarmAt {
      replica.alarmAt = next
      plan(.alarm, at: max(next, now))
    }
  }
}
