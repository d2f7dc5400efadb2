import OAuth
import BrokerCore
import Telemetry

extension StatusReport.Problem {
  /// The worst first.
  static func all(_ facts: StatusFacts, _ rows: [KeyRow]) -> [StatusReport.Problem] {
    var problems: [StatusReport.Problem] = []
    for status in facts.clients {
      problems += status.clients.compactMap { id in
        facts.broker.clients[id]?.block.flatMap { of(block: $0, client: id.name, facts) }
      }
      if let problem = status.source.assertion?.problem { problems.append(of(assertion: problem, status)) }
      if let problem = status.source.keySet?.problem { problems.append(of(keySet: problem, status, facts)) }
      problems += status.clients.prefix(1).compactMap { id in
        facts.broker.clients[id]?.budget.flatMap { of(budget: $0, client: id.name) }
      }
    }
    if let store = facts.broker.figures.store?.condition, let problem = store.problem {
      problems.append(of(store: store, problem))
    }
    problems += of(rows, .failing, facts) + of(rows, .refreshFailing, facts)
    if let problem = of(traffic: facts.traffic) { problems.append(problem) }
    // Stable, so that what belongs together stays so.
    return problems.enumerated().sorted { ($1.element.condition, $0.offset) < ($0.element.condition, $1.offset) }
      .map(\.element)
  }

  /// nil once its time is over: then nothing is known to be wrong, and the next request shows.
  private static func of(block: ClientStatus.Block, client: String, _ facts: StatusFacts) -> StatusReport.Problem? {
    guard facts.now < block.until else { return nil }
    let (condition, title): (StatusReport.Condition, String) =
      switch block.cause {
      case .refusal: (.failing, "The tenant refuses the credentials of client \(client)")
      case .limit: (.attention, "The tenant limits client \(client)")
      case .fault: (.attention, "Client \(client) cannot reach its tenant")
      }
    return StatusReport.Problem(
      condition: condition, title: title, detail: block.error.message, evidence: block.error.evidence?.byName,
      remedy: block.error.remedy, retryAt: facts.time(block.until))
  }

  private static func of(assertion problem: String, _ status: UpstreamStatus) -> StatusReport.Problem {
    StatusReport.Problem(
      condition: .failing, title: "Client \(status.oauth.name) has nothing to prove itself with", detail: problem,
      remedy:
        "See that whatever writes the file of its assertion runs, and replaces it before it expires. A new one is "
        + "used at once.")
  }

  private static func of(
    keySet problem: String, _ status: UpstreamStatus, _ facts: StatusFacts
  ) -> StatusReport.Problem {
    let isUsable = status.source.keySet?.keys.isEmpty == false
    return StatusReport.Problem(
      condition: isUsable ? .attention : .failing,
      title: "The signing keys of client \(status.oauth.name) cannot be read", detail: problem,
      remedy: (isUsable ? "The keys read before still hold. " : "") + TokenError.Cause.upstreamUnavailable.remedy,
      retryAt: facts.time(status.source.keySet?.nextFetch))
  }

  private static func of(budget: ClientStatus.Budget, client: String) -> StatusReport.Problem? {
    guard budget.used >= budget.mints - budget.reserve else { return nil }
    let isUsedUp = budget.used >= budget.mints
    return StatusReport.Problem(
      condition: .attention,
      title: "The month's allotment of client \(client) is \(isUsedUp ? "used up" : "down to its reserve")",
      detail: "\(budget.used) of \(budget.mints) tokens minted since the broker started",
      remedy:
        "Nobody gets a token just to have a newer one any more. See who asks for many audiences or scopes, or have "
        + "the allotment raised and budget.monthlyMints set to it.")
  }

  private static func of(store: StoreCondition, _ problem: String) -> StatusReport.Problem {
    StatusReport.Problem(
      condition: .attention, title: "The store \(store.location) cannot be used", detail: problem,
      remedy:
        "Tokens that are held are served as ever. Until it is mended each broker mints for itself, and anew after a "
        + "restart. Try token-broker check.")
  }

  /// One for each error and remedy among the rows of this state.
  private static func of(
    _ rows: [KeyRow], _ state: StatusReport.Audience.State, _ facts: StatusFacts
  ) -> [StatusReport.Problem] {
    let troubled = rows.filter { row in
      row.state == state && (state == .refreshFailing || row.isPressing(facts.now))
    }
    let kinds = Dictionary(grouping: troubled) { [$0.error?.cause.rawValue ?? "", $0.error?.remedy ?? ""] }
    return kinds.sorted { $0.key.lexicographicallyPrecedes($1.key) }.compactMap { _, rows in
      guard let first = rows.first else { return nil }
      let name = rows.count == 1 ? first.key.grant.audience : "\(rows.count) audiences"
      let isRefresh = state == .refreshFailing
      let title = isRefresh ? "No new token for \(name), while the present one is good" : "No token for \(name)"
      return StatusReport.Problem(
        condition: isRefresh || isOfTheAsker(first.error?.cause) ? .attention : .failing, title: title,
        detail: first.error?.message, evidence: first.error?.evidence?.byName, remedy: first.error?.remedy,
        retryAt: facts.time(rows.compactMap { $0.retryAt(facts.now) }.min()),
        servedUntil: facts.time(first.status?.token?.servableUntil))
    }
  }

  /// Whether it says that something was asked for that does not exist or is not granted: whoever can ask can cause it.
  private static func isOfTheAsker(_ cause: TokenError.Cause?) -> Bool {
    switch cause {
    case .unknownAudience, .audienceNotGranted, .unknownOrganization, .invalidCaller: true
    default: false
    }
  }

  /// Requests that failed lately, whatever for.
  private static func of(traffic: [Traffic.Minute]) -> StatusReport.Problem? {
    let lately = traffic.suffix(2).map(\.counts)
    let failed = lately.reduce(0) { $0 + $1.failed }
    let all = lately.reduce(0) { $0 + $1.ok + $1.refused + $1.failed }
    guard failed > 0 else { return nil }
    return StatusReport.Problem(
      condition: failed * 100 > all ? .failing : .attention,
      title: "\(failed) of \(all) requests failed within the last two minutes",
      remedy: "What else is said here has the reasons, or else the log has.")
  }
}
