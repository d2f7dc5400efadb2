import OAuth
import Telemetry

extension StatusReport.Configuration {
  init(_ figures: DependencyFigures.Configuration) {
    self.init(
      loadedAt: figures.loadedAt, lastReloadAt: figures.lastReloadAt, lastReloadOk: figures.problem == nil,
      error: figures.problem)
  }
}

extension StatusReport.Certificate {
  init(_ certificate: OwnCertificate, _ facts: StatusFacts) {
    self.init(
      use: certificate.use.rawValue, client: certificate.client, file: certificate.file, names: certificate.names,
      expiresAt: certificate.expiresAt, daysLeft: certificate.daysLeft(now: facts.wallNow))
  }
}

extension StatusReport.IssuerKeys {
  init(_ keys: DependencyFigures.KeySet, _ facts: StatusFacts) {
    self.init(issuer: keys.issuer, keys: keys.keys, readAt: facts.time(keys.readAt), error: keys.problem)
  }
}

extension StatusReport.Problem {
  /// What is wrong with what the broker depends on beside tenants and store.
  static func all(_ figures: DependencyFigures, _ facts: StatusFacts) -> [StatusReport.Problem] {
    var problems = figures.certificates.compactMap { of($0, now: facts.wallNow) }
    if let problem = figures.configuration.problem {
      problems.append(
        StatusReport.Problem(
          condition: .attention, title: "The configuration was changed and cannot be used", detail: problem,
          remedy: "The one before is still in force, and is lost with the process: mend the file. token-broker check "
            + "reads it without using it."))
    }
    problems += figures.keySets.filter { $0.client == nil }.compactMap { of($0) }
    return problems
  }

  private static func of(_ certificate: OwnCertificate, now: Double) -> StatusReport.Problem? {
    let name = "The certificate for \(certificate.use.purpose)"
    let days = certificate.daysLeft(now: now)
    let (condition, title): (StatusReport.Condition, String)
    switch certificate.condition(now: now) {
    case .good: return nil
    case .expiresSoon: (condition, title) = (.attention, "\(name) expires in \(days) \(days == 1 ? "day" : "days")")
    case .expired: (condition, title) = (.failing, "\(name) has expired")
    case .notYetValid: (condition, title) = (.failing, "\(name) is not valid yet")
    }
    let client = certificate.client.map { ", of client \($0)" } ?? ""
    return StatusReport.Problem(
      condition: condition, title: title,
      detail: "\(certificate.shownNames), until \(certificate.end), in \(certificate.file)\(client)",
      remedy: certificate.use.remedy)
  }

  private static func of(_ keys: DependencyFigures.KeySet) -> StatusReport.Problem? {
    keys.problem.map { problem in
      StatusReport.Problem(
        condition: keys.keys > 0 ? .attention : .failing,
        title: "The keys that callers' tokens are signed with cannot be read", detail: "\(keys.issuer): \(problem)",
        remedy: (keys.keys > 0 ? "The keys read before still hold. " : "") + DependencyFigures.keySetRemedy)
    }
  }
}

extension DependencyFigures {
  /// What to do where the keys of callers' issuer cannot be read.
  package static let keySetRemedy =
    "See whether kubernetes.jwksURL can be reached from here, kubernetes.caFile has the authority of its certificate, "
    + "and the token in kubernetes.tokenFile may read it. Callers with such tokens are answered with 503 meanwhile."
}

extension OwnCertificate.Use {
  /// In words, behind "the certificate for".
  package var purpose: String {
    switch self {
    case .listener: "callers who connect by https"
    case .clientCA: "the authority of callers' certificates"
    case .store: "the store"
    case .tlsClient: "the tenant"
    case .privateKeyJWT: "assertions"
    }
  }

  /// What to do about one that ends.
  package var remedy: String {
    switch self {
    case .listener:
      "Put the renewed certificate into the file: it is read at once. Callers refuse one that has expired."
    case .clientCA:
      "Put the authority's new certificate into the file, beside the old one until all callers have new certificates."
    case .store: "Put the renewed certificate and its key into their files: the next connection to the store uses them."
    case .tlsClient: "Put the renewed certificate and its key into their files, and register it with the tenant."
    case .privateKeyJWT: "Make another key with its certificate, register it with the tenant, and put it into the file."
    }
  }
}
