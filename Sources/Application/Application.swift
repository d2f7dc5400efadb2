import Basics
import BrokerAPI
import BrokerCore
import HTTPClient
import HTTPServer
import IO
import Logging
import OAuth
package import Settings
import Telemetry

/// The running broker: what it is made of, how a configuration comes into force, and how it serves and ends.
package final class Application: Sendable {
  package static let version = Version.current

  private let origin: Configuration.Origin
  /// The one that it was started with: what counts from the next start only is read from it.
  private let configuration: Configuration
  private let logging: LogControl
  private let log: Logger
  private let server: Server
  private let health = Health()
  /// nil if none wants to be told how this process is doing.
  private let manager: ServiceManager?
  private let upstreams = Upstreams()
  private let secretFiles: SecretFiles
  /// nil if tokens are kept in memory only.
  private let shared: SharedTokens?
  private let broker: Broker
  private let routers: RouterMailboxes
  private let dependencies: Dependencies
  private let metrics: Metrics

  /// Makes all parts and listens, or takes the sockets that systemd hands over. Throws `ListenError` for an address
  /// that cannot be had, and `HTTPClient.Failure` for a libcurl that cannot be used.
  package init(_ configuration: Configuration, from origin: Configuration.Origin) throws {
    try CurlLibrary.requireOpenSSL()
    self.origin = origin
    self.configuration = configuration
    manager = ServiceManager(origin.environment)
    logging = LogControl(configuration.logging)
    log = makeLogger(logging)
    server = try Server(configuration, from: origin, log: log)
    secretFiles = SecretFiles(of: upstreams, log: log)
    let (numbers, usage) = (ClientNumbers(), CallerUsage(loops: configuration.workers))
    routers = try RouterMailboxes(count: configuration.workers)
    shared = try configuration.store.open(log).map { [upstreams, log] in SharedTokens($0, minter: upstreams, log: log) }
    broker = Broker(
      rules: configuration.cache, requestTimeout: configuration.limits.requestTimeout, minter: upstreams,
      shared: shared, health: health, log: log
    ) { [routers] in routers.tellAll(Router.Message($0, numbers, usage)) }
    dependencies = Dependencies(configuration, upstreams: upstreams, log: log)
    metrics = Metrics(
      loops: configuration.workers, routes: Route.labels, clients: numbers, usage: usage, broker: broker,
      upstreams: upstreams,
      dependencies: { [dependencies] in await dependencies.figures }
    ) { [server] in
      server.listenerStates.reduce((0, 0)) { ($0.0 + $1.http1, $0.1 + $1.http2) }
    }
  }

  /// Why no command can run here; nil if one can. To be asked before anything waits for a thread of Dispatch's.
  package static var obstacle: String? {
    ThisProcess.isInProc
      ? nil : "/proc does not show this process: the broker needs /proc mounted for its own process namespace"
  }

  /// What every command that goes on the network sets up first.
  package static func prepareProcess() {
    ThisProcess.limitArenas()
    ThisProcess.ignoreFailingWrites()
    ThisProcess.ignoreUserSignals()
    ThisProcess.forbidCoreDumps()
    ThisProcess.raiseDescriptorLimit()
  }

  /// The addresses of the main listener, as the configuration would name them.
  private var addresses: [String] {
    server.listenerStates.filter { $0.role == .main }.map { listener in
      "\(listener.isTLS ? "https://" : "")\(listener.address)\(listener.requiresProxy ? "?proxy=required" : "")"
    }
  }

  /// Command lines that get tokens of the embedded tenant, as they stand in a shell; none without such a tenant.
  package var examples: [String] {
    origin.embedded.map { tenant in
      CurlExamples(
        configuration: configuration, tenant: tenant, listeners: server.listenerStates.filter { $0.role == .main }
      ).lines
    } ?? []
  }

  /// Brings a configuration into force, in this order: what is asked of tenants, what is written to the log, what is
  /// held, who may have it, and which certificates are shown. Throws, with the one before still in force, if a client
  /// cannot be used.
  private func apply(_ configuration: Configuration) async throws -> AccessPolicy {
    let specs = configuration.upstreamSpecs
    let clients = try upstreams.replace(with: specs, audiences: configuration.audiences)
    // Not before: what a file says is for the client that has it now.
    secretFiles.watch(specs)
    logging.apply(configuration.logging)
    metrics.usage.expect(configuration.callers?.byName.keys.sorted() ?? [])
    let policy = AccessPolicy(
      audiences: clients.audiences, callers: configuration.callers, clients: Set(configuration.clients.keys),
      guards: configuration.guards, passThrough: clients.passThrough, publicURL: configuration.publicURL,
      mainClient: configuration.mainClient,
      scopeClients: Set(configuration.clients.filter { $0.value.client.dialect.audienceParameter == .none }.keys))
    await broker.configure(
      rules: configuration.cache, requestTimeout: configuration.limits.requestTimeout,
      prefetched: Set(clients.audiences.prefetchedKeys), forgetting: clients.retired
    ) { [routers] in routers.tellAll(.policy(policy)) }
    if let tls = configuration.tls { server.replaceTLS(of: .main, with: tls) }
    return policy
  }

  /// Serves until a signal ends it.
  package func serve() async throws {
    let reloader = Reloader(origin, listeners: listeners, log: log, dependencies: dependencies) { [self] in
      try await apply($0)
    }
    let audit = AuditLog(logging)
    let status = StatusReporter(
      server: server, broker: broker, upstreams: upstreams, dependencies: dependencies, health: health,
      metrics: metrics, routers: routers, denials: audit.denials
    ) { [configuration] in await reloader.current ?? configuration }
    let services = Router.Services(
      broker: broker, health: health, accessLog: AccessLog(log), audit: audit, metrics: metrics,
      status: status, passThrough: PassThrough(), upstreams: upstreams, tellAll: routers.tellAll)
    health.start(
      until: .now.advanced(by: configuration.startupTimeout), waitingForAll: configuration.waitsForPrefetch)
    let policy = try await reloader.start(configuration)
    let signals = await Signals()
    let chores = [
      Task { [stream = signals.stream] in await act(on: stream, reloader) },
      Task { await status.watch() },
      Task { await broker.tendUpstreams() },
      Task { await dependencies.watch() },
      Task { await reportToManager() },
    ]
    let tending = [Task { await broker.tendStore() }, Task { await broker.tendBudgets() }]
    defer {
      for chore in chores { chore.cancel() }
      withExtendedLifetime((signals, reloader)) {}
    }
    announce()
    manager?.ready(serving)
    ThisProcess.releaseStartMemory()
    try await server.run { [routers] index, loop in
      let router = Router(index, loop: loop, policy: policy, services: services)
      try routers.attach(router, index, to: loop)
      return router
    }
    for task in tending { task.cancel() }
    for task in tending { await task.value }
    await shared?.close()
    log.info("stopped")
  }

  private func announce() {
    let issuers = configuration.clients.values.map { "\($0.client.name)=\($0.client.issuer ?? "none")" }
    log.info(
      "serving",
      metadata: [
        "addresses": "\(addresses.joined(separator: " "))",
        "admin": "\(server.addresses(of: .admin).first.map(\.description) ?? "off")",
        "clients": "\(issuers.sorted().joined(separator: " "))",
        "callers": "\(configuration.callers?.byName.count ?? 0)",
        "store": "\(configuration.store.description)", "workers": "\(configuration.workers)",
        "version": "\(Version.current)", "libraries": "\(CurlLibrary.versions)",
      ])
    let lint = ConfigurationLint(configuration, environment: origin.environment, listeners: listeners)
    for warning in lint.warnings { log.warning(warning) }
  }

  private var listeners: [ConfigurationLint.Listener] {
    server.listenerStates.filter { $0.role == .main }.map { ConfigurationLint.Listener($0.address, isTLS: $0.isTLS) }
  }

  private var serving: String { "Serving at \(addresses.joined(separator: " "))" }

  /// Tells the service manager, as often as it wants, that every event loop answers.
  private func reportToManager() async {
    guard let manager, let timeout = manager.watchdogTimeout.map({ max($0, .milliseconds(400)) }) else { return }
    // A watchdog counts time and asks nothing, so there is only its time to wait for; no shorter one than is sensible.
    while (try? await Task.sleep(for: timeout / 4)) != nil {
      if await routers.answers(within: timeout / 4, of: configuration.workers).count == configuration.workers {
        manager.isWell()
      }
    }
  }

  /// The first signal to end drains, the second ends at once; SIGHUP reads the configuration and the secrets again.
  private func act(on signals: AsyncStream<Signal>, _ reloader: Reloader) async {
    for await signal in signals {
      if signal == .hangUp {
        // Not waited for: a file may be slow to read, and a signal to end must not be.
        Task {
          manager?.reloading()
          await reloader.reload(on: .demand)
          if !health.isDraining { manager?.ready(serving) }
        }
        continue
      }
      if health.isDraining {
        log.warning("second signal: ending at once")
        ThisProcess.exit(1)
      }
      health.drain()
      manager?.stopping()
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

/// The way to the routers of all event loops.
struct RouterMailboxes: Sendable {
  private let mailboxes: [Mailbox<Router.Message>]

  init(count: Int) throws(SystemError) { mailboxes = try (0..<count).map { _ throws(SystemError) in try Mailbox() } }

  /// A new token wakes no loop: whoever asks for it does, and until then the loop has no use for it.
  func tellAll(_ message: Router.Message) {
    let isQuiet = if case .current = message { true } else { false }
    for mailbox in mailboxes { mailbox.post(message, isQuiet: isQuiet) }
  }

  /// How often each event loop has handed out these tokens: what those say that answer within `timeout`, of `count`.
  func answers(to keys: [TokenKey] = [], within timeout: Duration, of count: Int) async -> [[Int]] {
    let (stream, continuation) = AsyncStream<[Int]>.makeStream()
    tellAll(.count(keys) { continuation.yield($0) })
    let alarm = Task {
      // The deadline of the question; whoever has answered by then counts.
      try? await Task.sleep(for: timeout)
      continuation.finish()
    }
    defer { alarm.cancel() }
    var answers: [[Int]] = []
    for await answer in stream {
      answers.append(answer)
      if answers.count == count { break }
    }
    return answers
  }

  /// Call on the loop of this index.
  func attach(_ router: Router, _ index: Int, to loop: EventLoop) throws {
    try mailboxes[index].attach(to: loop) { router.receive($0) }
  }
}
