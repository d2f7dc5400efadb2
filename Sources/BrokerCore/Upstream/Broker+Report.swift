import Basics
import Logging
import OAuth

extension Broker {
  func logTakenOver(_ token: MintedToken, _ key: TokenKey) {
    log.info("token taken over from the store", metadata: facts(of: key).merging(facts(of: token)) { $1 })
  }

  /// Takes note of how a request to the tenant has ended: for readiness, in the log and in the figures.
  func report(
    _ result: Result<MintedToken, TokenError>, for key: TokenKey, because cause: RequestIdentity?, took: Duration
  ) {
    count(result, for: key.client, took: took)
    let isOwn = key.holder == nil && !retired.contains(key.client)
    switch result {
    case .success(let minted):
      if let over = failures.succeeded(key, now: .now) {
        let past: Logger.Metadata = ["failures": "\(over.failures)", "seconds": "\(over.lasted.components.seconds)"]
        log.info("tokens again", metadata: facts(of: key).merging(past) { $1 })
      }
      log.info("token minted", metadata: facts(of: key, cause, took).merging(facts(of: minted)) { $1 })
    case .failure(let error):
      if isOwn, error.cause == .brokerMisconfigured || error.cause.isTransient {
        health.failed(client: key.client.name, reason: error.message)
      }
      guard let leftOut = failures.failed(key, error.cause, now: .now) else { return }
      var facts = facts(of: key, cause, took)
      if leftOut > 0 { facts["repeats"] = "\(leftOut)" }
      facts["error"] = "\(error.cause.rawValue)"
      facts["reason"] = "\(error.message)"
      facts["upstream_status"] = error.upstreamStatus.map { "\($0)" }
      facts["upstream_request_id"] = error.upstreamRequestID.map { "\($0)" }
      for fact in error.evidence?.fields ?? [] { facts[fact.name] = "\(fact.value)" }
      log.warning("no token", metadata: facts)
    }
  }

  func reportBudget(of client: UpstreamID, _ budget: ClientStatus.Budget?) {
    guard let budget, let event = budgets.used(budget, of: client.name) else { return }
    let message: Logger.Message =
      event == .usedUp ? "the month's allotment is used up" : "the month's allotment is down to its reserve"
    log.warning(
      message, metadata: ["client": "\(client.name)", "used": "\(budget.used)", "limit": "\(budget.limit)"])
  }

  private func facts(of key: TokenKey) -> Logger.Metadata {
    var facts: Logger.Metadata = ["client": "\(key.client.name)", "audience": "\(key.audience)"]
    if let scope = key.scope { facts["scope"] = "\(scope)" }
    if let organization = key.organization { facts["organization"] = "\(organization)" }
    return facts
  }

  /// The same, who has caused the request to the tenant, and how long it took.
  private func facts(of key: TokenKey, _ cause: RequestIdentity?, _ took: Duration) -> Logger.Metadata {
    var facts = facts(of: key)
    facts["duration_ms"] = "\(took.milliseconds)"
    for fact in cause?.facts ?? [] { facts[fact.name] = "\(fact.value)" }
    return facts
  }

  private func facts(of token: MintedToken) -> Logger.Metadata {
    var facts: Logger.Metadata = ["expires_in": "\(Instant.now.duration(to: token.expiresAt).components.seconds)"]
    facts["key_id"] = token.keyID.map { "\($0)" }
    facts["upstream_request_id"] = token.upstreamRequestID.map { "\($0)" }
    return facts
  }

  private func count(_ result: Result<MintedToken, TokenError>, for client: UpstreamID, took: Duration) {
    var figures = counts[client.name] ?? BrokerFigures.Client()
    figures.durations.add(took)
    switch result {
    case .success(let minted):
      figures.resent(minted.resends)
      figures.outcomes["ok", default: 0] += 1
      figures.minted += 1
      figures.lastMint = .now
      for bucket in minted.quota where !bucket.isOfOrganization && !retired.contains(client) {
        figures.quota[bucket.name] = .init(
          limit: bucket.quota, remaining: bucket.remaining, resetsAt: minted.mintedAt.advanced(by: bucket.resetsIn))
      }
    case .failure(let error):
      figures.resent(error.resends)
      figures.outcomes[error.cause.rawValue, default: 0] += 1
      figures.lastFailure = PastFailure(error, at: .now)
    }
    counts[client.name] = figures
  }
}

extension BrokerFigures.Client {
  fileprivate mutating func resent(_ times: Int) { if times > 0 { outcomes["resent", default: 0] += times } }
}
