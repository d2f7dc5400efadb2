import Basics
import OAuth
import BrokerCore
import Telemetry

/// What is wrong, each cause once, and which rows it explains.
struct Diagnosis {
  let problems: [StatusReport.Problem]
  /// Which of the problems has the reason for the row, by its place.
  private let explanations: [Int: Int]
  /// What made requests fail lately is.
  private let isOver: Bool

  /// `rows` are all of the facts' keys.
  init(_ facts: StatusFacts, _ rows: [KeyRow]) {
    var findings: [Finding] = []
    var groups = Dictionary(grouping: rows.indices.filter { rows[$0].isTroubled(facts.now) }) { Cause(rows[$0]) }
    for status in facts.clients {
      for id in status.clients {
        guard let block = facts.broker.clients[id]?.block else { continue }
        let explained = groups.keys.filter { $0.isExplained(by: block, of: id.name) }
        let places = explained.flatMap { groups[$0] ?? [] }
        guard let problem = StatusReport.Problem(block, of: id, places.map { rows[$0] }, facts) else { continue }
        for cause in explained { groups[cause] = nil }
        findings.append(Finding(problem: problem, rows: places))
      }
      findings += StatusReport.Problem.ofClient(status, facts).map { Finding(problem: $0) }
    }
    if let store = facts.broker.figures.store?.condition {
      if let problem = store.problem { findings.append(Finding(problem: .of(store: store, problem))) }
      if let problem = StatusReport.Problem.of(refusalsOf: store) { findings.append(Finding(problem: problem)) }
      if let notice = store.notice { findings.append(Finding(problem: .of(store: store, notice: notice))) }
    }
    if let dependencies = facts.dependencies {
      findings += StatusReport.Problem.all(dependencies, facts).map { Finding(problem: $0) }
    }
    for (cause, places) in groups.sorted(by: { $0.key < $1.key }) {
      guard let problem = StatusReport.Problem(cause, places.map { rows[$0] }, facts) else { continue }
      findings.append(Finding(problem: problem, rows: places))
    }
    let isExplained = findings.contains { $0.problem.error != nil && $0.problem.condition != .ok }
    isOver = Self.isOver(facts)
    if !isExplained, !isOver,
      let problem = StatusReport.Problem.of(traffic: StatusReport.Recent(facts.traffic))
    {
      findings.append(Finding(problem: problem))
    }
    // The worst first; stable, so that what belongs together stays so.
    let sorted = findings.enumerated().sorted {
      ($1.element.problem.condition, $0.offset) < ($0.element.problem.condition, $1.offset)
    }.map(\.element)
    problems = sorted.map(\.problem)
    let places = sorted.enumerated().flatMap { place, finding in finding.rows.map { ($0, place) } }
    explanations = Dictionary(uniqueKeysWithValues: places)
  }

  /// Whether tenants have failed within the time that requests are judged by, and given tokens since: then that was it.
  private static func isOver(_ facts: StatusFacts) -> Bool {
    let since = facts.traffic.suffix(2).first?.start ?? facts.now
    let figures = facts.clients.flatMap(\.clients).compactMap { facts.broker.figures.clients[$0.name] }
    let failed = figures.filter { $0.lastFailure.map { $0.at >= since } ?? false }
    return !failed.isEmpty
      && failed.allSatisfy { one in
        guard let failure = one.lastFailure, let success = one.lastMint else { return false }
        return success > failure.at
      }
  }

  func explanation(ofRow place: Int) -> Int? { explanations[place] }

  /// How callers fare counts, and then what could become of it: one audience in vain among many that are served is
  /// something to look at, and no failure of the broker.
  func verdict(_ recent: StatusReport.Recent) -> StatusReport.Condition {
    if recent.isFelt, !isOver { return .failing }
    return min(.attention, problems.map(\.condition).max() ?? .ok)
  }

  private struct Finding {
    let problem: StatusReport.Problem
    var rows: [Int] = []
  }

  /// Rows that have the same are told of once.
  struct Cause: Hashable, Comparable {
    let client: String
    let error: TokenError.Cause?
    let remedy: String

    init(_ row: KeyRow) {
      client = row.key.client.name
      error = row.error?.cause
      remedy = row.error?.remedy ?? ""
    }

    static func < (left: Cause, right: Cause) -> Bool { left.text.lexicographicallyPrecedes(right.text) }
    private var text: [String] { [error?.rawValue ?? "", remedy, client] }

    /// Whether the rows wait for the same as the client itself.
    func isExplained(by block: ClientStatus.Block, of client: String) -> Bool {
      guard client == self.client else { return false }
      switch error {
      case .upstreamGlitch, .upstreamUnavailable, .upstreamTimeout: return block.cause == .fault
      default: return error == block.error.cause
      }
    }

    /// Whether it says that something was asked for that does not exist or is not granted: whoever can ask causes it.
    var isOfTheAsker: Bool {
      switch error {
      case .unknownAudience, .audienceNotGranted, .unknownOrganization, .invalidCaller: true
      default: false
      }
    }
  }
}

extension StatusReport.Problem {
  /// Audiences that are asked for again to see whether what is wrong is over.
  private static let maxRetries = 10

  /// A client's tenant that is not asked. What it has refused counts until something shows that it is over; of a limit
  /// or a fault nothing is known once its time is over, and the next request shows.
  fileprivate init?(_ block: ClientStatus.Block, of client: UpstreamID, _ rows: [KeyRow], _ facts: StatusFacts) {
    guard facts.now < block.until || block.cause == .refusal else { return nil }
    let title =
      switch block.cause {
      case .refusal: "The tenant refuses the credentials of client \(client.name)"
      case .limit: "The tenant limits client \(client.name)"
      case .fault: "Client \(client.name) cannot reach its tenant"
      }
    let isFailing = block.cause == .refusal || rows.contains { $0.state == .failing }
    self.init(condition: block.cause == .limit || !isFailing ? .attention : .failing, title: title)
    tell(block.error, client.name)
    concern(rows, facts)
    retryAt = facts.now < block.until ? facts.time(block.until) : nil
    if block.cause != .limit, block.key.holder == nil { retry = [Grant(block.key)] + (retry ?? []) }
  }

  /// Rows that have one cause.
  fileprivate init?(_ cause: Diagnosis.Cause, _ rows: [KeyRow], _ facts: StatusFacts) {
    guard let first = rows.first else { return nil }
    let failing = rows.count { $0.state == .failing }
    func name(_ count: Int) -> String { rows.count == 1 ? first.key.grant.audience : "\(count) audiences" }
    let title =
      if failing == 0 {
        "No new token for \(name(rows.count)), while the present one is good"
      } else {
        "No token for \(name(failing))"
      }
    let condition: StatusReport.Condition =
      if cause.isOfTheAsker { rows.contains(where: \.isKnown) ? .attention : .ok } else {
        failing > 0 ? .failing : .attention
      }
    self.init(condition: condition, title: title)
    if let error = first.error { tell(error, cause.client) }
    concern(rows, facts)
    retryAt = facts.time(rows.compactMap { $0.retryAt(facts.now) }.min())
  }

  private mutating func tell(_ error: TokenError, _ client: String) {
    self.error = error.cause.rawValue
    self.client = client
    detail = error.message
    evidence = error.evidence?.byName
    remedy = error.remedy
  }

  private mutating func concern(_ rows: [KeyRow], _ facts: StatusFacts) {
    withoutToken = rows.count { $0.state == .failing }
    notRenewed = rows.count { $0.state == .refreshFailing }
    servedUntil = facts.time(
      rows.compactMap { $0.state == .refreshFailing ? $0.status?.token?.servableUntil : nil }.min())
    let grants = rows.lazy.filter { $0.key.holder == nil }.prefix(Self.maxRetries).map { Grant($0.key) }
    retry = grants.isEmpty ? nil : Array(grants)
  }

  /// What a client itself lacks.
  fileprivate static func ofClient(_ status: UpstreamStatus, _ facts: StatusFacts) -> [StatusReport.Problem] {
    let budget = status.clients.first.flatMap { facts.broker.clients[$0]?.budget }
    return [
      status.source.assertion?.problem.map { of(assertion: $0, status) },
      status.source.keySet?.problem.map { of(keySet: $0, status, facts) },
      budget.flatMap { of(budget: $0, client: status.oauth.name) },
    ].compactMap(\.self)
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
    guard budget.used >= budget.limit - budget.reserve else { return nil }
    let isUsedUp = budget.used >= budget.limit
    return StatusReport.Problem(
      condition: .attention,
      title: "The month's allotment of client \(client) is \(isUsedUp ? "used up" : "down to its reserve")",
      detail: "\(budget.used) of \(budget.limit) tokens minted "
        + (budget.isOfFleet ? "this month by all brokers that share the store" : "since the broker started"),
      remedy:
        "Nobody gets a token just to have a newer one any more. See who asks for many audiences or scopes, or have "
        + "the allotment raised and budget.monthlyMints set to it.")
  }

  fileprivate static func of(store: StoreCondition, _ problem: String) -> StatusReport.Problem {
    StatusReport.Problem(
      condition: .attention, title: "The store \(store.location) cannot be used", detail: problem,
      remedy:
        "Tokens that are held are served as ever. Until it is mended each broker mints for itself, and anew after a "
        + "restart. Try token-broker check.")
  }

  fileprivate static func of(refusalsOf store: StoreCondition) -> StatusReport.Problem? {
    guard store.problem == nil, let refusal = store.refusal else { return nil }
    let operations = store.refusals.keys.sorted().map(\.rawValue).joined(separator: ", ")
    return StatusReport.Problem(
      condition: .attention, title: "The store \(store.location) refuses to \(operations)", detail: refusal,
      remedy: store.refusalRemedy)
  }

  fileprivate static func of(store: StoreCondition, notice: String) -> StatusReport.Problem {
    StatusReport.Problem(
      condition: .attention, title: "The store \(store.location) had to be made anew", detail: notice,
      remedy:
        "It goes on with what could be taken over. See what has damaged it, such as a failing disk, then remove the "
        + "file that was set aside.")
  }

  /// Requests that failed lately though nothing else is known to be wrong.
  fileprivate static func of(traffic recent: StatusReport.Recent) -> StatusReport.Problem? {
    guard recent.failed > 0 else { return nil }
    return StatusReport.Problem(
      condition: recent.isFelt ? .failing : .attention,
      title: "\(recent.failed) of \(recent.requests) requests failed within the last two minutes",
      remedy: "What else is said here has the reasons, or else the log has.")
  }
}

extension StatusReport.Problem.Grant {
  fileprivate init(_ key: TokenKey) {
    self.init(audience: key.grant.audience, scope: key.grant.scope, organization: key.grant.organization)
  }
}

extension StatusReport.Recent {
  init(_ traffic: [Traffic.Minute]) {
    let lately = traffic.suffix(2)
    let counts = lately.map(\.counts)
    let (refused, failed) = (counts.reduce(0) { $0 + $1.refused }, counts.reduce(0) { $0 + $1.failed })
    self.init(
      seconds: lately.reduce(0) { $0 + $1.start.duration(to: $1.end) / .seconds(1) },
      requests: counts.reduce(0) { $0 + $1.ok } + refused + failed, refused: refused, failed: failed)
  }

  /// From one in a hundred on callers notice.
  var isFelt: Bool { failed > 0 && failed * 100 >= requests }
}
