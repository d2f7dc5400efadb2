import Basics
import BrokerCore
import Logging
import OAuth
import Settings
import Synchronization
import Telemetry

/// What the broker depends on beside its tenants and its store: that its configuration can be read, its own
/// certificates, and the keys of issuers. Says in the log what becomes of them.
final class Dependencies: Sendable {
  private struct State {
    var figures: DependencyFigures.Configuration
    var certificates: [OwnCertificate]
    /// Checks the tokens of callers' service accounts.
    var verifier: JWTVerifier?
    /// What was last said of a certificate that is not good, by its file and end.
    var warnings: [String: Int] = [:]
    /// The issuers whose keys could not be read when they were last looked at.
    var unreadable: Set<String> = []
  }

  private let upstreams: Upstreams
  private let log: Logger
  private let state: Mutex<State>

  /// Keys and certificates are looked at this often, whoever needs them.
  private static let interval = Duration.seconds(60)

  init(_ configuration: Configuration, upstreams: Upstreams, log: Logger) {
    self.upstreams = upstreams
    self.log = log
    let now = WallClock.now
    state = Mutex(
      State(
        figures: .init(loadedAt: now, lastReloadAt: now), certificates: configuration.certificates,
        verifier: configuration.callers?.serviceAccounts))
  }

  // MARK: The configuration

  /// A configuration has come into force.
  func loaded(_ configuration: Configuration) {
    let now = WallClock.now
    state.withLock { state in
      state.figures = .init(loadedAt: now, lastReloadAt: now)
      state.certificates = configuration.certificates
      state.verifier = configuration.callers?.serviceAccounts
      state.warnings = [:]
    }
    for certificate in configuration.certificates where certificate.condition(now: now) == .good {
      log.info("certificate in use", metadata: Self.facts(of: certificate, now: now))
    }
    warnOfCertificates()
    Task { await lookAtKeys() }
  }

  /// A configuration was read and is not used, because of all these.
  func refused(_ reasons: [String]) {
    let shown = reasons.prefix(5).joined(separator: "; ")
    let rest = reasons.count > 5 ? "; and \(reasons.count - 5) more" : ""
    state.withLock { state in
      state.figures.lastReloadAt = WallClock.now
      state.figures.problem = shown + rest
    }
  }

  // MARK: What becomes of it

  /// Looks after certificates and keys until it is cancelled.
  func watch() async {
    // Certificates end and keys go by time alone: nobody tells.
    while (try? await Task.sleep(for: Self.interval)) != nil {
      warnOfCertificates()
      await lookAtKeys()
    }
  }

  /// A line for each that is not good, and another each day.
  private func warnOfCertificates() {
    let now = WallClock.now
    for certificate in state.withLock(\.certificates) {
      let (place, days) = ("\(certificate.file) \(certificate.end)", certificate.daysLeft(now: now))
      let message: Logger.Message
      switch certificate.condition(now: now) {
      case .good: continue
      case .expiresSoon: message = "a certificate expires soon"
      case .expired: message = "a certificate has expired"
      case .notYetValid: message = "a certificate is not valid yet"
      }
      let isNews = state.withLock { $0.warnings.updateValue(days, forKey: place) != days }
      if isNews { log.warning(message, metadata: Self.facts(of: certificate, now: now)) }
    }
  }

  private static func facts(of certificate: OwnCertificate, now: Double) -> Logger.Metadata {
    var facts: Logger.Metadata = [
      "use": "\(certificate.use.rawValue)", "file": "\(certificate.file)", "names": "\(certificate.shownNames)",
      "expires_at": "\(certificate.end)", "days_left": "\(certificate.daysLeft(now: now))",
    ]
    facts["client"] = certificate.client.map { "\($0)" }
    return facts
  }

  private func lookAtKeys() async {
    await state.withLock(\.verifier)?.pollKeys()
    let found = Dictionary(await keySets.map { ($0.issuer, $0) }) { $0.problem == nil ? $1 : $0 }
    let unreadable = Set(found.values.filter { $0.problem != nil }.map(\.issuer))
    let before = state.withLock { state in
      defer { state.unreadable = unreadable }
      return state.unreadable
    }
    for issuer in unreadable.subtracting(before) {
      var facts: Logger.Metadata = ["issuer": "\(issuer)", "reason": "\(found[issuer]?.problem ?? "")"]
      facts["client"] = found[issuer]?.client.map { "\($0)" }
      log.warning("the keys of an issuer cannot be read", metadata: facts)
    }
    for issuer in before.subtracting(unreadable) where found[issuer] != nil {
      log.info("the keys of an issuer can be read again", metadata: ["issuer": "\(issuer)"])
    }
  }

  // MARK: For those who watch

  var figures: DependencyFigures {
    get async {
      let (configuration, certificates) = state.withLock { ($0.figures, $0.certificates) }
      return DependencyFigures(configuration: configuration, certificates: certificates, keySets: await keySets)
    }
  }

  private var keySets: [DependencyFigures.KeySet] {
    get async {
      let verifier = state.withLock(\.verifier)
      var all: [DependencyFigures.KeySet] = []
      if let verifier { all.append(.init(verifier.issuer, client: nil, await verifier.keySet)) }
      for status in await upstreams.status {
        guard let issuer = status.source.issuer, let keys = status.source.keySet else { continue }
        all.append(.init(issuer, client: status.oauth.name, keys))
      }
      return all
    }
  }
}

extension DependencyFigures.KeySet {
  fileprivate init(_ issuer: String, client: String?, _ status: KeySetStatus) {
    self.init(
      issuer: issuer, client: client, keys: status.keys.count, readAt: status.fetchedAt, problem: status.problem)
  }
}
