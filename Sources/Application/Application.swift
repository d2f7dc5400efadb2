import BrokerAPI
import HTTPServer
import Logging
import OAuth
import IO
import BrokerCore
package import Settings
import Telemetry

/// The running broker: its server, its cache, its configuration and its shutdown.
package struct Application {
  package static let version = Version.current

  private let origin: Configuration.Origin
  private let configuration: Configuration
  private let server: Server
  private let health = Health()
  private let logging: LogControl
  private let log: Logger

  /// Listens, or takes the sockets that systemd hands over. Throws `Server.BindError` for an address that cannot be
  /// had.
  package init(_ configuration: Configuration, from origin: Configuration.Origin) throws {
    self.origin = origin
    self.configuration = configuration
    logging = LogControl(configuration.logging)
    log = makeLogger(logging)
    let listeners = try Listeners(configuration, inherited: Listener.inherited(origin.environment))
    let bindings = listeners.main + listeners.admin
    var limits = configuration.limits
    let wanted = limits.connections
    // The broker answers within the request's time; the server's own deadline only guards against its failing to.
    limits.requestTimeout += .seconds(2)
    limits.fit(descriptors: ThisProcess.descriptorLimit, addresses: bindings.count)
    if limits.connections < wanted {
      log.warning(
        "the limit on open files allows fewer connections than configured",
        metadata: ["connections": "\(limits.connections)", "files": "\(ThisProcess.descriptorLimit)"])
    }
    server = try Server(label: "http", bindings, loops: configuration.workers, limits: limits)
  }

  /// What every command that goes on the network sets up first.
  package static func prepareProcess() {
    ThisProcess.ignoreFailingWrites()
    ThisProcess.forbidCoreDumps()
    ThisProcess.raiseDescriptorLimit()
  }

  private var mainAddresses: [SocketAddress] { server.addresses(of: .main) }

  /// The addresses of the main listener, as the configuration would name them.
  package var addresses: [String] { mainAddresses.map(\.description) }

  /// Serves until a signal ends it.
  package func serve() async throws {
    let mailboxes = try (0..<configuration.workers).map { _ throws(SystemError) in try Mailbox<Router.Message>() }
    let tellAll: @Sendable (Router.Message) -> Void = { message in for mailbox in mailboxes { mailbox.post(message) } }
    let upstreams = Upstreams(log: log)
    let clients = ClientNumbers()
    let rendered = RenderedTokens(clients)
    let shared = try configuration.store.open(log).map { store in
      SharedTokens(store, vault: { upstreams.vault(of: $0) }, log: log) { key, kept, deadline throws(TokenError) in
        try await upstreams.revalidate(for: kept, key, deadline: deadline)
      }
    }
    let broker = Broker(
      rules: configuration.cache, requestTimeout: configuration.limits.requestTimeout, health: health, log: log,
      shared: shared,
      publish: { tellAll(.token(rendered.change(for: $0))) },
      mint: { key, brought, trace, deadline throws(TokenError) in
        try await upstreams.mint(key, with: brought, in: trace, deadline: deadline)
      })
    let reloader = Reloader(origin, log: log) { [server, logging] configuration in
      let clients = try upstreams.replace(with: configuration, for: broker)
      logging.take(configuration.logging)
      let policy = AccessPolicy(
        audiences: clients.audiences, callers: configuration.callers, guards: configuration.guards,
        passThrough: clients.passThrough,
        scopeClients: Set(configuration.clients.filter { $0.value.client.dialect.audienceParameter == .none }.keys))
      await broker.configure(
        rules: configuration.cache, requestTimeout: configuration.limits.requestTimeout,
        prefetched: Set(clients.audiences.prefetchedKeys), forgetting: clients.retired
      ) { tellAll(.policy(policy)) }
      if let tls = configuration.tls { server.replaceTLS(of: .main, with: tls) }
      return policy
    }
    let metrics = Metrics(
      loops: configuration.workers, routes: Route.labels, clients: clients, broker: broker
    ) { [server] in
      server.listenerStates.reduce((0, 0)) { ($0.0 + $1.http1, $0.1 + $1.http2) }
    }
    let status = StatusReporter(
      server: server, broker: broker, upstreams: upstreams, health: health, metrics: metrics, tellAll: tellAll
    ) { [configuration] in await reloader.current ?? configuration }
    let services = Router.Services(
      broker: broker, health: health, accessLog: AccessLog(log), audit: AuditLog(logging), metrics: metrics,
      rendered: rendered, status: status, passThrough: PassThrough(), tellAll: tellAll)

    let policy = try await reloader.start(configuration)
    let signals = await Signals()
    let chores = [
      Task { [stream = signals.stream] in await heed(stream, reloader) },
      Task { await status.watch() },
    ]
    let tending = Task { await broker.tendStore() }
    defer {
      for chore in chores { chore.cancel() }
      withExtendedLifetime((signals, reloader)) {}
    }
    announce()
    try await server.run { index, loop in
      let router = Router(index, loop: loop, policy: policy, services: services)
      try mailboxes[index].attach(to: loop) { router.receive($0) }
      return router
    }
    tending.cancel()
    await tending.value
    await shared?.close()
    log.info("stopped")
  }

  private func announce() {
    log.info(
      "serving",
      metadata: [
        "addresses": "\(addresses.joined(separator: " "))",
        "admin": "\(server.addresses(of: .admin).first.map(\.description) ?? "off")",
        "clients":
          "\(configuration.clients.values.map { "\($0.client.name)=\($0.client.issuer ?? "none")" }.sorted().joined(separator: " "))",
        "callers": "\(configuration.callers.map { "\($0.byName.count)" } ?? "anyone")",
        "store": "\(configuration.store.description)", "workers": "\(configuration.workers)",
        "version": "\(Version.current)",
      ])
    for warning in configuration.warnings(listeningOn: mainAddresses) {
      log.warning("\(warning.message)", metadata: ["address": "\(warning.subject)"])
    }
  }

  /// The first signal to end drains, the second ends at once; SIGHUP reads the configuration and the secrets again.
  private func heed(_ signals: AsyncStream<Signal>, _ reloader: Reloader) async {
    for await signal in signals {
      if signal == .hangUp {
        // Not waited for: a file may be slow to read, and a signal to end must not be.
        Task { await reloader.reload(ifChanged: false) }
        continue
      }
      if health.isDraining {
        log.warning("second signal: ending at once")
        ThisProcess.exit(1)
      }
      health.drain()
      log.info("draining", metadata: ["signal": "\(signal.rawValue)"])
      Task {
        let current = await reloader.current ?? configuration
        // Accepting goes on for so long, until those who route requests here have seen `/readyz` turn.
        try? await Task.sleep(for: current.shutdownDelay)
        server.drain(timeout: current.shutdownTimeout)
      }
    }
  }
}

/// What to listen on: the sockets handed over in place of those configured, each kind for itself.
private struct Listeners {
  let main: [Server.Binding]
  let admin: [Server.Binding]

  /// One that is called `admin` (FileDescriptorName=) is the admin listener.
  init(_ configuration: Configuration, inherited: [(name: String, listener: Listener)]) {
    let (admin, main) = (inherited.filter { $0.name == "admin" }, inherited.filter { $0.name != "admin" })
    // Where any listener is to have TLS, what comes over TCP has it: nothing that was to be secured is left open.
    let tls = configuration.listen.contains(where: \.isTLS) ? configuration.tls : nil
    self.main =
      main.isEmpty
      ? configuration.listen.map { Server.Binding($0.address, tls: $0.isTLS ? configuration.tls : nil) }
      : main.map { Server.Binding(inherited: $0.listener, tls: $0.listener.address.isUnix ? nil : tls) }
    self.admin =
      admin.isEmpty
      ? configuration.adminListen.map { [Server.Binding($0, .admin)] } ?? []
      : admin.map { Server.Binding(inherited: $0.listener, .admin) }
  }
}
