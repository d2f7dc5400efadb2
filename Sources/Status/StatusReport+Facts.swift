import Basics
import OAuth
import BrokerCore
import Telemetry

extension StatusReport {
  /// Rows that are told of; who has more audiences has no use for a list of them.
  package static let maxAudiences = 1000

  /// `rows` are all of the facts' keys, the worst first.
  package init(_ facts: StatusFacts, _ rows: [KeyRow]) {
    let diagnosis = Diagnosis(facts, rows)
    now = facts.time(facts.now)
    problems = diagnosis.problems
    recent = Recent(facts.traffic)
    condition = facts.isDraining ? .draining : diagnosis.verdict(recent)
    process = facts.process
    listeners = facts.listeners
    callers = facts.callers.map { Caller.all($0, facts) }
    denials = facts.denials.map { Denial($0, facts) }
    store = facts.broker.figures.store.map(Store.init)
    configuration = facts.dependencies.map { Configuration($0.configuration) }
    certificates = facts.dependencies?.certificates.map { Certificate($0, facts) } ?? []
    keySets = facts.dependencies?.keySets.filter { $0.client == nil }.map { IssuerKeys($0, facts) } ?? []
    let counted = facts.broker.figures.lookups
    lookups = Lookups(
      hit: counted.hit + facts.clientHits.values.reduce(0, +), miss: counted.miss, coalesced: counted.coalesced,
      stale: counted.stale, negative: counted.negative)
    traffic = facts.traffic.map { Minute($0, facts) }
    clients = facts.clients.flatMap { Client.all($0, facts) }
    audiences = rows.prefix(Self.maxAudiences).enumerated().map { place, row in
      var audience = Audience(row, facts)
      audience.problem = diagnosis.explanation(ofRow: place)
      return audience
    }
    audienceCount = rows.count
  }
}

extension StatusReport.Store {
  fileprivate init(_ figures: StoreFigures) {
    func requests(_ operation: StoreOperation) -> Requests {
      func count(_ isOK: Bool) -> Int { figures.outcomes[.init(operation: operation, isOK: isOK)] ?? 0 }
      return Requests(ok: count(true), failed: count(false))
    }
    self.init(
      location: figures.condition.location,
      problem: figures.condition.problem ?? figures.condition.refusal.map { "it refuses \($0)" },
      load: requests(.load), claim: requests(.claim), save: requests(.save), ignored: figures.ignored)
  }
}

extension StatusReport.Minute {
  init(_ minute: Traffic.Minute, _ facts: StatusFacts) {
    let counts = minute.counts
    self.init(
      start: facts.time(minute.start), seconds: minute.start.duration(to: minute.end) / .seconds(1), ok: counts.ok,
      refused: counts.refused, failed: counts.failed, p50: counts.quantile(0.5), p99: counts.quantile(0.99))
  }
}

extension StatusReport.Failure {
  /// `success` is when things last went well.
  fileprivate init(
    _ failure: PastFailure, after success: Instant?, retryAt: Instant? = nil, times: Int? = nil, _ facts: StatusFacts
  ) {
    let error = failure.error
    isCurrent = success.map { $0 < failure.at } ?? true
    self.error = error.cause.rawValue
    message = error.message
    remedy = error.remedy
    at = facts.time(failure.at)
    self.times = isCurrent ? times : nil
    self.retryAt = facts.time(retryAt)
    upstreamStatus = error.upstreamStatus
    upstreamRequestId = error.upstreamRequestID
    evidence = error.evidence?.byName
  }
}

extension Evidence {
  var byName: [String: String] { Dictionary(fields.map { ($0.name, $0.value) }) { $1 } }
}

extension StatusReport.Audience {
  fileprivate init(_ row: KeyRow, _ facts: StatusFacts) {
    let key = row.key
    let status = row.status
    let token = status?.token
    audience = key.grant.audience
    client = key.client.name
    scope = key.grant.scope
    organization = key.grant.organization
    holder = key.holder.map { String($0.hex.prefix(8)) }
    state = row.state
    mintedAt = facts.time(token?.minted.mintedAt)
    expiresAt = facts.time(token?.minted.expiresAt)
    servedUntil = facts.time(token?.servableUntil)
    nextRefreshAt = facts.time(status?.nextRefresh)
    isFetching = status?.fetch == .running
    isPrefetched = status?.isPrefetched ?? false
    hits = (status?.hits ?? 0) + (facts.hits[key] ?? 0)
    lastUsedAt = hits > 0 ? facts.time(token?.lastUsedAt) : nil
    keyId = token?.minted.keyID
    lastFailure = status?.lastFailure.map {
      .init($0, after: token?.minted.mintedAt, retryAt: row.retryAt(facts.now), times: status?.failures, facts)
    }
  }
}

extension StatusReport.Client {
  /// The client itself, and its pass-through if anybody has used that.
  static func all(_ status: UpstreamStatus, _ facts: StatusFacts) -> [StatusReport.Client] {
    status.clients.enumerated().compactMap { index, id in
      let isOwn = index == 0
      return isOwn || facts.broker.figures.clients[id.name] != nil ? Self(id, status, isOwn: isOwn, facts) : nil
    }
  }

  private init(_ id: UpstreamID, _ status: UpstreamStatus, isOwn: Bool, _ facts: StatusFacts) {
    let figures = facts.broker.figures.clients[id.name] ?? .init()
    let gate = facts.broker.clients[id]
    let source = status.source
    name = id.name
    clientId = isOwn ? status.oauth.clientID : nil
    issuer = source.issuer
    authentication = isOwn ? source.authentication : nil
    assertionKey = isOwn ? source.assertionKey : nil
    assertion = isOwn ? source.assertion.map { Assertion($0) } : nil
    secrets = isOwn ? source.secrets.map { Secret($0, facts) } : []
    keySet = source.keySet.map { KeySet($0, facts) }
    minted = figures.minted
    saved = figures.saved + (facts.clientHits[id.name] ?? 0)
    outcomes = figures.outcomes
    lastMintAt = facts.time(figures.lastMint)
    let amends = facts.amends[id]
    lastFailure = figures.lastFailure.map { failure in
      .init(failure, after: amends?.mend(failure) == true ? facts.now : figures.lastMint, facts)
    }
    block = gate?.block.map { Block(cause: $0.cause.rawValue, until: facts.time($0.until)) }
    limitedOrganizations = gate?.limitedOrganizations ?? 0
    inFlight = gate?.inFlight ?? 0
    queued = gate?.queued ?? 0
    quotas = figures.quota.sorted { $0.key < $1.key }.map { name, quota in
      Quota(name: name, limit: quota.limit, remaining: quota.remaining, resetsAt: facts.time(quota.resetsAt))
    }
    scarceUntil = facts.time(gate?.scarceUntil)
    budget = gate?.budget.map { Budget($0) }
  }
}

extension StatusReport.Client.Budget {
  fileprivate init(_ budget: ClientStatus.Budget) {
    let (year, month) = budget.month.quotientAndRemainder(dividingBy: 12)
    self.init(
      month: "\(year)-\(month < 9 ? "0" : "")\(month + 1)", limit: budget.limit, reserve: budget.reserve,
      used: budget.used, countedBy: budget.isOfFleet ? "fleet" : "broker")
  }
}

extension StatusReport.Client.Secret {
  fileprivate init(_ secret: SecretStatus, _ facts: StatusFacts) {
    self.init(
      fingerprint: secret.fingerprint, since: facts.time(secret.since), acceptedAt: facts.time(secret.acceptedAt))
  }
}

extension StatusReport.Client.Assertion {
  fileprivate init(_ status: AssertionStatus) {
    self.init(file: status.file, expiresAt: status.expiresAt, problem: status.problem)
  }
}

extension StatusReport.Client.KeySet {
  fileprivate init(_ set: KeySetStatus, _ facts: StatusFacts) {
    self.init(
      keys: set.keys.map { .init(kid: $0.id, alg: $0.algorithm) }, fetchedAt: facts.time(set.fetchedAt),
      problem: set.problem, nextFetchAt: facts.time(set.nextFetch))
  }
}
