import Basics
import FoundationEssentials
import BrokerAPI
import HTTPServer
import OAuth
import IO
import Synchronization
import BrokerCore
import Settings
import Status
import Telemetry

/// Gathers the facts for `/status.json` when somebody asks for them.
final class StatusReporter: StatusProvider {
  private let configuration: @Sendable () async -> Configuration
  private let server: Server
  private let broker: Broker
  private let upstreams: Upstreams
  private let dependencies: Dependencies
  private let health: Health
  private let metrics: Metrics
  private let routers: RouterMailboxes
  private let denials: RecentDenials
  private let traffic = Mutex(Traffic(start: .now))

  init(
    server: Server, broker: Broker, upstreams: Upstreams, dependencies: Dependencies, health: Health, metrics: Metrics,
    routers: RouterMailboxes, denials: RecentDenials, configuration: @escaping @Sendable () async -> Configuration
  ) {
    self.configuration = configuration
    self.server = server
    self.broker = broker
    self.upstreams = upstreams
    self.dependencies = dependencies
    self.health = health
    self.metrics = metrics
    self.routers = routers
    self.denials = denials
  }

  let page = Response(200, fields: StatusPage.fields, body: StatusPage.body)

  func report() async -> Response {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Nothing in a report can fail to be encoded.
    let body = (try? encoder.encode(await gather())) ?? Data()
    return Response(
      200,
      fields: [
        ("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
      ], body: Array(body))
  }

  /// Notes once a minute what has been counted, until it is cancelled.
  func watch() async {
    // The minutes are what is measured: there is nothing else to wait for.
    while (try? await Task.sleep(for: .seconds(60))) != nil {
      let totals = metrics.traffic
      traffic.withLock { $0.sample(totals, at: .now) }
    }
  }

  private func gather() async -> StatusReport {
    let configuration = await configuration()
    let clients = await upstreams.status
    let broker = await broker.status
    let dependencies = await dependencies.figures
    let totals = metrics.traffic
    var facts = StatusFacts(of: broker, .init(workers: metrics.loops.count))
    facts.isDraining = health.isDraining
    facts.clients = clients
    facts.listed = configuration.audiences.names.compactMap { configuration.audiences.key(for: Grant(audience: $0)) }
    facts.clientHits = metrics.hits
    facts.traffic = traffic.withLock { $0.minutes(totals, at: facts.now) }
    facts.listeners = listeners
    facts.dependencies = dependencies
    facts.callers = configuration.callers.map { Set($0.byName.keys) }
    facts.usage = metrics.usage.rows
    facts.denials = denials.all
    let rows = KeyRow.all(facts)
    facts.hits = await hits(of: rows.prefix(StatusReport.maxAudiences).map(\.key))
    return StatusReport(facts, rows)
  }

  private var listeners: [StatusReport.Listener] {
    server.listenerStates.map { listener in
      .init(
        address: "\(listener.address)", isAdmin: listener.role == .admin, isTLS: listener.isTLS,
        http1: listener.http1, http2: listener.http2)
    }
  }

  /// For all loops to answer: one that ends takes no more messages.
  private static let answerTimeout = Duration.milliseconds(500)

  /// How often the event loops have handed out these tokens. Each counts in its own memory, and is asked.
  private func hits(of keys: [TokenKey]) async -> [TokenKey: Int] {
    let answers = await routers.answers(to: keys, within: Self.answerTimeout, of: metrics.loops.count)
    let hits = answers.reduce([Int](repeating: 0, count: keys.count)) { zip($0, $1).map(+) }
    return Dictionary(zip(keys, hits)) { $0 + $1 }
  }
}

extension StatusReport.Process {
  fileprivate init(workers: Int) {
    let figures = ProcessFigures()
    self.init(
      version: Version.current, startedAt: figures.startedAt, workers: workers, cpuSeconds: figures.cpuSeconds,
      residentBytes: figures.residentBytes, openDescriptors: figures.openDescriptors,
      maxDescriptors: figures.maxDescriptors)
  }
}
