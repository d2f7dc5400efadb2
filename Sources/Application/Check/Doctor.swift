import Basics
import Logging
import OAuth
import Stores
import BrokerCore
import HTTPClient
import HTTPServer
package import Settings
import Status
import Telemetry

/// Looks at all that a configuration needs in order to work, and asks the tenants for tokens.
package struct Doctor {
  let configuration: Configuration
  let environment: [String: String]
  /// To be tried instead of those that the configuration lists.
  let audiences: [String]
  /// Whether to ask for a token of each, which costs a mint.
  let mints: Bool
  /// Told of each finding as it is made.
  let tell: (Finding) -> Void

  package init(
    configuration: Configuration, environment: [String: String], audiences: [String], mints: Bool,
    tell: @escaping (Finding) -> Void
  ) {
    self.configuration = configuration
    self.environment = environment
    self.audiences = audiences
    self.mints = mints
    self.tell = tell
  }

  package func examine() async throws {
    let libraries = libraries
    tell(libraries)
    // Nothing else could be looked at.
    if libraries.verdict == .failed { return }
    for warning in ConfigurationLint(configuration, environment: environment).warnings { tell(Finding(warning)) }
    for certificate in configuration.certificates where certificate.client == nil {
      tell(DependencyFindings.certificate(certificate, now: WallClock.now))
    }
    if let verifier = configuration.callers?.serviceAccounts {
      await verifier.pollKeys()
      tell(DependencyFindings.keys(verifier.issuer, await verifier.keySet))
    }
    tell(await store)
    let upstreams = Upstreams()
    _ = try upstreams.replace(with: configuration.upstreamSpecs, audiences: configuration.audiences)
    let names = audiences.isEmpty ? configuration.audiences.names : audiences
    let wanted = names.map { ($0, key($0)) }
    for (name, settings) in configuration.clients.sorted(by: { $0.key < $1.key }) {
      let checkup = ClientCheckup(
        settings: settings, upstream: configuration.upstream, environment: environment,
        probe: try ClientProbe(settings.client, connection: configuration.connection(of: settings))
      ) { tell($0.of(client: name)) }
      for certificate in settings.certificates {
        tell(DependencyFindings.certificate(certificate, now: WallClock.now).of(client: name))
      }
      let obstacle = await checkup.examine()
      let keys = wanted.compactMap { _, key in (try? key.get()).flatMap { $0.client.name == name ? $0 : nil } }
      if keys.isEmpty, names.isEmpty {
        let reason = "no audience to try: give --audience, or list them in the configuration"
        tell(.skipped(.token, nil, reason).of(client: name))
      }
      for key in keys { tell(await token(key, upstreams, obstacle).of(client: name)) }
    }
    for case (let audience, .failure(let error)) in wanted { tell(TenantFindings.token(audience, error)) }
  }

  private var libraries: Finding {
    do throws(HTTPClient.Failure) {
      try CurlLibrary.requireOpenSSL()
      return .ok(.libraries, nil, CurlLibrary.versions)
    } catch {
      return .failed(
        .libraries, nil, error.message,
        remedy: "Install the libcurl that is built with OpenSSL: Debian's libcurl4, not libcurl3-gnutls.")
    }
  }

  /// Where tokens are kept. A file is not opened: it may be a running broker's.
  private var store: Finding {
    get async {
      let location = configuration.store.description
      let started = Instant.now
      do throws(StoreError) {
        switch configuration.store.location {
        case .memory: return .ok(.store, nil, "memory: tokens are minted anew after a restart")
        case .file(let path):
          try FileStore.checkDirectory(of: path)
          return .ok(.store, location, "its directory will do")
        case .redis(let settings):
          let store = try RedisStore(settings, log: makeLogger(LogControl(LogSettings(level: .critical))))
          defer { store.close() }
          var condition = store.condition
          condition.refusals = try await store.examine()
          if let refusal = condition.refusal {
            return .warning(.store, location, "it refuses \(refusal)", remedy: condition.refusalRemedy)
          }
          let took = started.duration(to: .now).milliseconds
          return .ok(.store, location, "does all that is asked of it, within \(took) ms")
        }
      } catch {
        return .warning(
          .store, location, error.reason,
          remedy: "Until it can be used each broker mints for itself, and anew after a restart.")
      }
    }
  }

  /// The token that a request for this audience would get.
  private func key(_ audience: String) -> Result<TokenKey, TokenError> {
    if let problem = Audience.problem(with: audience) {
      return .failure(TokenError(cause: .unknownAudience, message: problem))
    }
    guard let key = configuration.audiences.key(for: Grant(audience: audience)) else {
      return .failure(TokenError(cause: .unknownAudience, message: "the configuration does not list this audience"))
    }
    return .success(key)
  }

  private func token(_ key: TokenKey, _ upstreams: Upstreams, _ obstacle: ClientCheckup.Obstacles) async -> Finding {
    let verification = configuration.audiences.verification(of: key)
    if let obstacle = verification == .jwt ? obstacle.toVerified : obstacle.toAny {
      return .skipped(.token, key.grant.audience, obstacle)
    }
    if !mints { return .skipped(.token, key.grant.audience, "not asked for: --no-mint") }
    do throws(TokenError) {
      let deadline = Instant.now.advanced(by: configuration.limits.requestTimeout)
      return TenantFindings.token(key.grant.audience, try await upstreams.mint(key, deadline: deadline), verification)
    } catch {
      return TenantFindings.token(key.grant.audience, error)
    }
  }
}
