import HTTPServer
package import IO
import Synchronization

/// A small, honest Auth0 look-alike: real signatures over real TLS, Auth0's refusals in Auth0's words, and faults to
/// order.
package final class DevTenant: Sendable {
  package struct Options: Sendable {
    package var address: SocketAddress
    package var tls = true
    /// Beside HTTP/1.1, where there is TLS.
    package var offersHTTP2 = true
    /// Then a connection is ended: by GOAWAY, or behind the answer.
    package var requestsPerConnection: Int?
    package var certificate = CertificateKind.valid
    /// The identity of a tenant that is to live on; nil: made anew.
    package var identity: Identity?
    package var clientID = "dev-client"
    /// Those accepted; none: one is made up.
    package var secrets: [String] = []
    /// How long a token lives, in seconds.
    package var lifetime = 86400
    /// The APIs known, with the scopes granted for each.
    package var audiences: [String: [String]] = [
      "https://api.example.com/": ["read:a", "write:a"], "https://api.example.com": ["read:a"],
      "https://ledger.example.com/": [],
    ]
    /// Every other API is known too, and whatever scope is asked for is granted.
    package var grantsEverything = false

    package init(address: SocketAddress) { self.address = address }

    /// On a free port of this machine's loopback interface.
    package init() throws { try self.init(address: SocketAddress(parsing: "127.0.0.1:0")) }
  }

  /// What makes a tenant the same one after a restart: private keys, and so nothing that a real one would show.
  package struct Identity: Codable, Sendable {
    var certificatePEM: String?
    var keyPEM: String?
    /// In PEM; the first signs.
    var signingKeys: [String]

    fileprivate var tls: TLSIdentity? {
      guard let certificatePEM, let keyPEM else { return nil }
      return TLSIdentity(certificatePEM: certificatePEM, keyPEM: keyPEM)
    }
  }

  package enum CertificateKind: Sendable {
    case valid
    /// For a host that the tenant is not.
    case wrongHost
    case expired
    /// With five days left.
    case aging
  }

  /// What the key-set endpoint answers with.
  package enum KeySetMode: Sendable {
    case normal
    /// Keys that must not be used stand before the right one.
    case decoys
    /// Another key stands before the right one, with the same `kid`.
    case duplicateID
    case empty
    /// Status 500.
    case failing
  }

  struct State {
    var secrets: [String]
    var lifetime: Int
    /// The first signs; all are published.
    var keys: [SigningKey]
    var keySetMode = KeySetMode.normal
    var latency = Duration.zero
    /// Seconds that its clock is ahead.
    var clockOffset = 0
    var failureShare = 0.0
    var scripts: [String: [Fault]] = [:]
    var statistics = Statistics()
    var watchers: [AsyncStream<Statistics>.Continuation] = []
  }

  package let clientID: String
  /// What a client must trust; nil without TLS.
  package var certificatePEM: String? { tlsIdentity?.certificatePEM }
  /// Without a slash at the end.
  package let baseURL: String
  let audiences: [String: [String]]
  let grantsEverything: Bool
  let state: Mutex<State>
  private let server: Server
  private let tlsIdentity: TLSIdentity?

  /// Makes keys and certificate and listens; requests wait until `run`.
  package init(_ options: Options) throws {
    let secrets = options.secrets.isEmpty ? [Self.randomSecret()] : options.secrets
    let keys = try options.identity?.signingKeys.map { try SigningKey(pem: $0) }
    state = Mutex(State(secrets: secrets, lifetime: options.lifetime, keys: try keys ?? [SigningKey()]))
    let tlsIdentity = options.tls ? try options.identity?.tls ?? TLSIdentity(options.certificate) : nil
    self.tlsIdentity = tlsIdentity
    let tls = try tlsIdentity.map {
      try TLSContext(certificate: .text($0.certificatePEM), key: .text($0.keyPEM), offersHTTP2: options.offersHTTP2)
    }
    var limits = Limits()
    limits.requestsPerConnection = options.requestsPerConnection ?? limits.requestsPerConnection
    server = try Server(label: "tenant", [Server.Binding(options.address, tls: tls)], loops: 1, limits: limits)
    baseURL = "\(options.tls ? "https" : "http")://\(server.addresses[0])"
    clientID = options.clientID
    audiences = options.audiences
    grantsEverything = options.grantsEverything
  }

  private static func randomSecret() -> String {
    (0..<4).map { _ in String(UInt64.random(in: .min ... .max), radix: 36) }.joined()
  }

  /// Serves until `stop`.
  package func run() async throws { try await server.run { [self] _, _ in TenantHandler(tenant: self) } }

  package func stop() { server.stop() }

  package var address: SocketAddress { server.addresses[0] }
  package var identity: Identity {
    Identity(
      certificatePEM: tlsIdentity?.certificatePEM, keyPEM: tlsIdentity?.keyPEM,
      signingKeys: state.withLock { $0.keys.map(\.pem) })
  }
  package var secrets: [String] { state.withLock(\.secrets) }
  /// How long its tokens live, in seconds.
  package var lifetime: Int { state.withLock(\.lifetime) }
  package var statistics: Statistics { state.withLock { statistics($0) } }

  /// The statistics now, and again whenever they change.
  package var updates: AsyncStream<Statistics> {
    let (stream, continuation) = AsyncStream<Statistics>.makeStream()
    state.withLock { state in
      continuation.yield(statistics(state))
      state.watchers.append(continuation)
    }
    return stream
  }

  private func statistics(_ state: State) -> Statistics {
    var statistics = state.statistics
    statistics.connections = server.listenerStates[0].total
    return statistics
  }

  /// Counts what has happened, and tells those who watch.
  func count(_ change: (inout Statistics) -> Void) {
    state.withLock { state in
      change(&state.statistics)
      for watcher in state.watchers { watcher.yield(statistics(state)) }
    }
  }

  // MARK: To order

  package func accept(secrets: [String]) { state.withLock { $0.secrets = secrets } }
  package func setLifetime(seconds: Int) { state.withLock { $0.lifetime = seconds } }
  package func setLatency(_ latency: Duration) { state.withLock { $0.latency = latency } }
  /// Sets its clock so many seconds ahead, or behind: what it dates, and the times in its tokens.
  package func setClock(ahead seconds: Int) { state.withLock { $0.clockOffset = seconds } }
  /// Fails that share of the requests for tokens, from 0 to 1, at random.
  package func setFailing(share: Double) { state.withLock { $0.failureShare = share } }
  package func setKeySet(_ mode: KeySetMode) { state.withLock { $0.keySetMode = mode } }

  /// Plays one of `faults` at each of the coming requests for `audience`, in order; then all is well again.
  package func play(_ faults: [Fault], for audience: String) {
    state.withLock { $0.scripts[audience, default: []] += faults }
  }

  /// Signs with a new key from now on. The previous one stays published, unless it is revoked.
  package func rotateKey(revokingPrevious: Bool) throws {
    let key = try SigningKey()
    state.withLock { $0.keys = [key] + (revokingPrevious ? [] : $0.keys.prefix(1)) }
  }
}
