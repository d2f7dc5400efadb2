import Basics
package import BrokerCore
import IO

/// All that is counted, gathered for whoever asks.
package final class Metrics: Sendable {
  /// For what is answered off the loops.
  package let later: LoopMetrics
  package let loops: [LoopMetrics]
  package let usage: CallerUsage
  private let routes: [RouteLabel]
  private let clients: ClientNumbers
  private let broker: Broker
  private let upstreams: Upstreams
  private let dependencies: @Sendable () async -> DependencyFigures
  private let connections: @Sendable () -> (http1: Int, http2: Int)

  /// Audiences that are told apart; a tenant has hundreds at the most, and labels cost whoever stores them.
  private static let maxTokens = 1000

  package init(
    loops count: Int, routes: [RouteLabel], clients: ClientNumbers, usage: CallerUsage, broker: Broker,
    upstreams: Upstreams,
    dependencies: @escaping @Sendable () async -> DependencyFigures,
    connections: @escaping @Sendable () -> (http1: Int, http2: Int)
  ) {
    later = LoopMetrics(routes: routes.count, isShared: true)
    loops = (0..<count).map { _ in LoopMetrics(routes: routes.count) }
    self.routes = routes
    self.clients = clients
    self.usage = usage
    self.broker = broker
    self.upstreams = upstreams
    self.dependencies = dependencies
    self.connections = connections
    ProcessFigures.begin()
  }

  /// All of it, in this format.
  package func text(_ format: MetricsText.Format) async -> [UInt8] {
    var text = MetricsText(format)
    writeRequests(to: &text)
    text.write(usage.rows)
    await writeBroker(broker.figures, to: &text)
    text.gauge(
      "token_broker_client_assertion_expiry_timestamp_seconds",
      "When the assertion in a client's file expires, in Unix time.",
      upstreams.assertionExpiries.sorted { $0.key < $1.key }.map { ([("client", $0.key)], "\(Int($0.value))") })
    let figures = await dependencies()
    text.write(figures)
    writeProcess(to: &text)
    return text.bytes
  }

  /// Requests for tokens so far.
  package var traffic: Traffic.Totals {
    var totals = Traffic.Totals()
    for loop in loops + [later] {
      for route in routes.indices where routes[route].givesTokens {
        for (index, status) in LoopMetrics.statuses.enumerated() {
          let count = loop.requests(route, statusAt: index)
          switch status {
          case 200: totals.ok += count
          case 400..<500: totals.refused += count
          default: totals.failed += count
          }
        }
        totals.durations = zip(totals.durations, loop.counts(route)).map(+)
      }
    }
    return totals
  }

  /// Answers from the loops' own tables, by client.
  package var hits: [String: Int] {
    // Those beyond the capacity share a number, and the name of one of them.
    let named = Dictionary(clients.all.map { ($0.number, $0.name) }, uniquingKeysWith: min)
    let counted = named.map { number, name in (name, loops.reduce(0) { $0 + $1.hits(client: number) }) }
    return Dictionary(counted, uniquingKeysWith: +)
  }

  private func writeRequests(to text: inout MetricsText) {
    let all = loops + [later]
    var samples: [(labels: MetricsText.Labels, value: String)] = []
    for (route, template) in (routes.map(\.template) + ["refused"]).enumerated() {
      for (index, status) in LoopMetrics.statuses.enumerated() {
        let count = all.reduce(0) { $0 + $1.requests(route, statusAt: index) }
        if count > 0 { samples.append(([("route", template), ("status", "\(status)")], "\(count)")) }
      }
    }
    text.counter("token_broker_http_requests", "Requests answered.", samples)
    text.histogram(
      "token_broker_http_request_duration_seconds", "From a request's being read to its answer's being given.",
      routes.enumerated().map { route, label in
        let counts = all.map { $0.counts(route) }.reduce([Int](repeating: 0, count: Histogram.bounds.count + 1)) {
          zip($0, $1).map(+)
        }
        return ([("route", label.template)], Histogram(counts: counts, sum: all.reduce(0) { $0 + $1.seconds(route) }))
      })
    text.counter(
      "token_broker_tls_handshake_failures", "TLS handshakes with clients that failed.",
      TLSHandshakeFailure.allCases.enumerated().map { index, failure in
        ([("reason", failure.rawValue)], "\(loops.reduce(0) { $0 + $1.handshakeFailures(index) })")
      })
    let connections = connections()
    text.gauge(
      "token_broker_http_connections", "Connections that are open.",
      [([("protocol", "http1")], "\(connections.http1)"), ([("protocol", "http2")], "\(connections.http2)")])
  }

  private func writeBroker(_ figures: BrokerFigures, to text: inout MetricsText) {
    let hits = self.hits
    let lookups = figures.lookups
    text.counter(
      "token_broker_cache_lookups", "Look-ups of tokens by how they went.",
      [
        ("hit", lookups.hit + hits.values.reduce(0, +)), ("miss", lookups.miss), ("coalesced", lookups.coalesced),
        ("stale", lookups.stale), ("negative", lookups.negative),
      ].map { ([("result", $0.0)], "\($0.1)") })
    text.gauge("token_broker_cache_entries", "Tokens that are held.", [([], "\(figures.tokens.count)")])

    let known = figures.clients.sorted { $0.key < $1.key }
    text.counter(
      "token_broker_upstream_requests", "Requests for tokens that tenants were sent, by how they ended.",
      known.flatMap { name, client in
        client.outcomes.sorted { $0.key < $1.key }.map { ([("client", name), ("outcome", $0.key)], "\($0.value)") }
      })
    text.histogram(
      "token_broker_upstream_request_duration_seconds", "From a token's being asked for to its being validated.",
      known.map { ([("client", $0.key)], $0.value.durations) })
    text.counter(
      "token_broker_tokens_minted", "Tokens minted and validated.",
      known.map { ([("client", $0.key)], "\($0.value.minted)") })
    let saved = hits.merging(figures.clients.mapValues(\.saved)) { $0 + $1 }
    text.counter(
      "token_broker_tokens_saved", "Answers that cost no mint.",
      saved.sorted { $0.key < $1.key }.map { ([("client", $0.key)], "\($0.value)") })
    text.counter(
      "token_broker_unpaid_requests", "Requests refused because an allowance for refusals was used up.",
      known.map { ([("client", $0.key)], "\($0.value.unpaid)") })
    text.gauge(
      "token_broker_upstream_quota_remaining", "What the tenant last said is left of a quota.",
      known.flatMap { name, client in
        client.quota.sorted { $0.key < $1.key }.map {
          ([("client", name), ("bucket", $0.key)], "\($0.value.remaining)")
        }
      })
    text.write(figures.budgets)
    if let store = figures.store { writeStore(store, to: &text) }
    text.gauge(
      "token_broker_token_expiry_timestamp_seconds", "When an audience's newest token expires, in Unix time.",
      expiries(figures.tokens))
  }

  private func writeStore(_ store: StoreFigures, to text: inout MetricsText) {
    text.gauge(
      "token_broker_store_up", "1 while the store is within reach.", [([], store.condition.problem == nil ? "1" : "0")])
    text.gauge(
      "token_broker_store_condition", "1 for what the store does, 0 for what it refuses or cannot be asked for.",
      StoreOperation.allCases.map { ([("operation", $0.rawValue)], store.condition.can($0) ? "1" : "0") })
    text.counter(
      "token_broker_store_requests", "Requests to the store, by how they ended.",
      store.outcomes.map { outcome, count in
        ([("operation", outcome.operation.rawValue), ("outcome", outcome.isOK ? "ok" : "failed")], "\(count)")
      }.sorted { $0.0.map(\.1).lexicographicallyPrecedes($1.0.map(\.1)) })
    text.counter(
      "token_broker_store_values_ignored", "Values of the store that did not open, or whose tokens did not pass.",
      [([], "\(store.ignored)")])
  }

  private func expiries(_ tokens: [BrokerFigures.Token]) -> [(labels: MetricsText.Labels, value: String)] {
    struct Place: Hashable {
      let client: String
      let audience: String
    }
    let (now, wallNow) = (Instant.now, WallClock.now)
    let newest = Dictionary(
      tokens.map { (Place(client: $0.key.client.name, audience: $0.key.audience), $0.expiresAt) },
      uniquingKeysWith: max)
    return newest.sorted { ($0.key.client, $0.key.audience) < ($1.key.client, $1.key.audience) }.prefix(Self.maxTokens)
      .map { place, expiresAt in
        let seconds = wallNow + Double(expiresAt.nanoseconds - now.nanoseconds) / 1e9
        return ([("client", place.client), ("audience", place.audience)], "\(Int(seconds))")
      }
  }

  private func writeProcess(to text: inout MetricsText) {
    let process = ProcessFigures()
    text.gauge("token_broker_build_info", "Always 1.", [([("version", Version.current)], "1")])
    text.counter("process_cpu_seconds", "User and system time.", [([], "\(process.cpuSeconds)")])
    text.gauge("process_resident_memory_bytes", "Resident memory.", [([], "\(process.residentBytes)")])
    text.gauge("process_virtual_memory_bytes", "Virtual memory.", [([], "\(process.virtualBytes)")])
    text.gauge("process_open_fds", "Open file descriptors.", [([], "\(process.openDescriptors)")])
    text.gauge("process_max_fds", "The most file descriptors that may be open.", [([], "\(process.maxDescriptors)")])
    text.gauge("process_start_time_seconds", "When the process started, in Unix time.", [([], "\(process.startedAt)")])
  }
}
