import DevTenant
import Foundation
import TestSupport
import Testing

extension LoadTests {
  /// What those who watch the broker are told.
  @Suite struct MetricsTests {
    @Test("Counters add up to what clients sent and what it cost")
    func reconciled() async throws {
      let callers = TestCallers()
      try await withTenant { tenant in
        let broker = try await tenant.broker(configuration: callers.text)
        let proof = callers.billingProof
        _ = try await broker.token(API.path, "-H", proof)
        let clients = try (0..<10).map { _ in try RawClient(port: broker.port, timeout: 30) }
        let request = API.request(fields: proof)
        for _ in 0..<50 { for client in clients { try client.send(request) } }
        for client in clients { for _ in 0..<50 { _ = try await client.readResponse() } }
        for _ in 0..<3 { _ = try await broker.token(API.path) }
        _ = try await broker.token("https://other/", "-H", proof)
        _ = try await broker.token("https://ledger.example.com/unknown", "-H", proof)
        _ = try await broker.token("https://ledger.example.com/unknown", "-H", proof)
        _ = try await Answer.curl([broker.url + "/forward-auth/\(API.path)", "-H", proof])
        _ = try await Answer.curl([broker.url + "/nothing"])

        let samples = try await broker.metrics()
        let requests = { (route: String, status: Int) in
          samples["token_broker_http_requests_total{route=\"\(route)\",status=\"\(status)\"}"]
        }
        #expect(requests("/token/{audience}", 200) == 501 && requests("/token/{audience}", 401) == 3)
        #expect(requests("/token/{audience}", 403) == 1 && requests("/token/{audience}", 404) == 2)
        #expect(requests("/forward-auth/{audience}", 200) == 1 && requests("other", 404) == 1)
        #expect(samples["token_broker_http_request_duration_seconds_count{route=\"/token/{audience}\"}"] == 507)
        #expect(
          samples["token_broker_http_request_duration_seconds_bucket{route=\"/token/{audience}\",le=\"+Inf\"}"] == 507)
        let lookups = { (result: String) in samples["token_broker_cache_lookups_total{result=\"\(result)\"}"] }
        #expect(lookups("hit") == 501 && lookups("miss") == 2 && lookups("negative") == 1)
        #expect(samples["token_broker_cache_entries"] == 1)
        #expect(samples["token_broker_tokens_minted_total{client=\"default\"}"] == 1)
        #expect(samples["token_broker_tokens_saved_total{client=\"default\"}"] == 501)
        let upstream = { (outcome: String) in
          samples["token_broker_upstream_requests_total{client=\"default\",outcome=\"\(outcome)\"}"]
        }
        #expect(upstream("ok") == 1 && upstream("unknown_audience") == 1)
        #expect((samples["token_broker_http_connections{protocol=\"http1\"}"] ?? 0) >= 10)
        let expiry = samples[
          "token_broker_token_expiry_timestamp_seconds{client=\"default\",audience=\"https://api.example.com/\"}"]
        #expect(abs((expiry ?? 0) - Date().timeIntervalSince1970 - 86400) < 60)
        #expect((samples["process_resident_memory_bytes"] ?? 0) > 1_000_000)
        // Only audiences that have yielded a token, and nothing secret.
        #expect(
          !samples.keys.contains { $0.contains("unknown\"") || $0.contains(callers.billing) || $0.contains("eyJ") })
      }
    }

    /// What a connection sends, one answer after the other, and what it must be answered.
    private struct Load: Sendable {
      let request: String
      let status: Int
      /// As in the metrics; `refused` where the server says it, and then ends the connection.
      let route: String
      var repeats = 1
    }

    /// Sends it on connections of its own, and counts what came.
    private static func send(_ load: Load, to port: UInt16) async throws -> [String: Int] {
      var counts: [String: Int] = [:]
      var client = try RawClient(port: port, timeout: 60)
      for _ in 0..<load.repeats {
        try client.send(load.request)
        let answer = try await client.readResponse()
        counts["\(load.route) \(answer.head.split(separator: " ")[1])", default: 0] += 1
        if answer.head.contains("Connection: close") { client = try RawClient(port: port, timeout: 60) }
      }
      return counts
    }

    @Test("Under load counters never run backwards, and at its end each request has been counted once")
    func underLoad() async throws {
      try await withBroker(["BROKER_WORKERS": "2"]) { tenant, broker in
        let other = "https%3A%2F%2Fledger.example.com%2F"
        func get(_ path: String, _ fields: String = "") -> String {
          "GET \(path) HTTP/1.1\r\nHost: localhost\r\n\(fields)\r\n"
        }
        let token = "/token/{audience}"
        let forward = "/forward-auth/{audience}"
        var loads = (0..<6).map { _ in
          Load(request: get("/token/\(API.path)"), status: 200, route: token, repeats: 300)
        }
        loads += (0..<4).map {
          Load(request: get("/token/\(other)?scope="), status: 400, route: token, repeats: 20 + $0)
        }
        loads += (0..<8).map { number in
          // Ten keys, each asked for by several at once.
          Load(request: get("/token/\(API.path)?organization=\(number % 2)"), status: 200, route: token, repeats: 10)
        }
        loads += [
          Load(request: get("/forward-auth/\(API.path)"), status: 200, route: forward, repeats: 50),
          Load(request: get("/token/https://nobody.example.com/"), status: 404, route: token, repeats: 40),
          Load(request: get("/nothing"), status: 404, route: "other", repeats: 30),
          Load(request: get("/healthz"), status: 200, route: "/healthz", repeats: 30),
          Load(request: "nonsense\r\n\r\n", status: 400, route: "refused", repeats: 20),
          Load(request: get("/\(String(repeating: "a", count: 9000))"), status: 414, route: "refused", repeats: 5),
          Load(
            request: get("/", "X: \(String(repeating: "a", count: 17000))\r\n"), status: 431, route: "refused",
            repeats: 7),
          Load(
            request: "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000\r\n\r\n", status: 413,
            route: "refused",
            repeats: 9),
          Load(
            request: get("/", "Transfer-Encoding: gzip, chunked\r\n"), status: 501, route: "refused", repeats: 3),
          Load(request: "GET / HTTP/3.0\r\nHost: localhost\r\n\r\n", status: 505, route: "refused", repeats: 4),
        ]
        let done = Flag()
        async let scrapes = watch(broker, until: done)
        let sent = try await withThrowingTaskGroup(of: [String: Int].self) { group in
          for load in loads { group.addTask { try await Self.send(load, to: broker.port) } }
          return try await group.reduce(into: [:]) { $0.merge($1, uniquingKeysWith: +) }
        }
        done.raise()
        #expect(try await scrapes > 1)
        let wanted = loads.reduce(into: [:]) { $0["\($1.route) \($1.status)", default: 0] += $1.repeats }
        #expect(sent == wanted)

        let samples = try await broker.metrics()
        let counted = samples.reduce(into: [String: Int]()) { counts, sample in
          guard
            let match = sample.key.wholeMatch(
              of: /token_broker_http_requests_total\{route="(?<route>[^"]*)",status="(?<status>\d+)"\}/),
            match.route != "/metrics"
          else { return }
          counts["\(match.route) \(match.status)"] = Int(sample.value)
        }
        #expect(counted == sent)
        // Every request that was about a token and got as far is a look-up, of one kind.
        let lookups = samples.filter { $0.key.hasPrefix("token_broker_cache_lookups_total") }.values.reduce(0, +)
        let asked = [token, forward].map { "\($0) 200" } + ["\(token) 404"]
        #expect(Int(lookups) == asked.reduce(0) { $0 + (sent[$1] ?? 0) })
        let minted = samples["token_broker_tokens_minted_total{client=\"default\"}"] ?? 0
        #expect(Int(minted) == tenant.tenant.statistics.mints && minted == 3)
        let saved = samples["token_broker_tokens_saved_total{client=\"default\"}"] ?? 0
        #expect(Int(minted + saved) == sent["\(token) 200"]! + sent["\(forward) 200"]!)
        for route in [token, forward, "other", "/healthz"] {
          let count = samples["token_broker_http_request_duration_seconds_count{route=\"\(route)\"}"]
          let total = sent.filter { $0.key.hasPrefix(route + " ") }.values.reduce(0, +)
          #expect(count.map { Int($0) } == total, "\(route)")
        }
      }
    }

    /// Scrapes until it is done; how often. No counter may be lower than it was.
    private func watch(_ broker: BrokerProcess, until done: Flag) async throws -> Int {
      var (count, before) = (0, [String: Double]())
      repeat {
        let samples = try await broker.metrics()
        for (name, value) in samples where name.contains(/_(total|count|bucket)(\{|$)/) {
          #expect(value >= before[name] ?? 0, "\(name)")
        }
        (count, before) = (count + 1, samples)
      } while !done.isRaised || count < 2
      return count
    }

    /// How many requests the server itself has refused with this status.
    private func refused(_ status: Int, by broker: BrokerProcess) async throws -> Double {
      try await broker.metrics()["token_broker_http_requests_total{route=\"refused\",status=\"\(status)\"}"] ?? 0
    }

    @Test("A request that comes too slowly is counted as refused with 408")
    func slow() async throws {
      try await withBroker(configuration: "limits: {headerTimeout: 1s}\n") { _, broker in
        let client = try RawClient(port: broker.port)
        try client.send("GET / HT")
        #expect(try await client.readToEnd().hasPrefix("HTTP/1.1 408 "))
        #expect(try await refused(408, by: broker) == 1)
      }
    }

    @Test("A header that is too large, by HTTP/2, is counted as refused with 431")
    func tooLarge() async throws {
      try await withBroker { _, broker in
        let big = ["--http2-prior-knowledge", "-H", "X: \(String(repeating: "a", count: 17_000))"]
        let answer = try await Answer.curl([broker.url + "/healthz"] + big)
        #expect(answer.status == 431)
        #expect(try await refused(431, by: broker) == 1)
      }
    }

    @Test("A caller beyond the limit on connections is counted as refused with 503, and nothing is asked upstream")
    func beyondLimit() async throws {
      try await withBroker(configuration: "limits: {connections: 8}\n") { tenant, broker in
        let held = try (0..<8).map { _ in try RawClient(port: broker.port) }
        try await broker.waitForConnections(8)
        let late = try RawClient(port: broker.port)
        try late.send(API.request())
        #expect(try await late.readToEnd().hasPrefix("HTTP/1.1 503 "))
        #expect(try await refused(503, by: broker) == 1)
        #expect(tenant.tenant.statistics.tokenRequests == 0)
        withExtendedLifetime(held) {}
      }
    }

    @Test("Connections for which there is no room at all are counted as refused with 503")
    func beyondReserve() async throws {
      try await withBroker(configuration: "limits: {connections: 8}\n") { _, broker in
        let flood = try (0..<250).map { _ in try RawClient(port: broker.port) }
        let isRefused = try await RawClient.isAnyRefused(of: flood)
        #expect(isRefused)
        #expect(try await refused(503, by: broker) >= 1)
      }
    }

    @Test("promtool accepts the metrics", .enabled(if: Programs.has("promtool"), "promtool is not here"))
    func promtool() async throws {
      try await withBroker { _, broker in
        _ = try await broker.token(API.path)
        let script = "curl --silent --fail --max-time 10 \(broker.adminURL)/metrics | promtool check metrics"
        let result = try await ChildProcess.run("sh", ["-c", script])
        #expect(result.status == 0 && result.errors.isEmpty, "\(result)")
      }
    }

    @Test("Who accepts OpenMetrics gets it, and others Prometheus' own format")
    func formats() async throws {
      try await withBroker { _, broker in
        let accept = "Accept: application/openmetrics-text; version=1.0.0"
        let open = try await Answer.curl([broker.adminURL + "/metrics", "-H", accept])
        #expect(open.field("content-type")?.hasPrefix("application/openmetrics-text") == true)
        #expect(open.body.hasSuffix("# EOF\n") && open.body.contains("# TYPE token_broker_tokens_minted counter\n"))
        let plain = try await Answer.curl([broker.adminURL + "/metrics"])
        #expect(plain.field("content-type")?.hasPrefix("text/plain; version=0.0.4") == true)
        #expect(plain.body.contains("# TYPE token_broker_tokens_minted_total counter\n"))
      }
    }

    @Test("The main listener has no metrics")
    func adminOnly() async throws {
      try await withBroker { _, broker in
        let answer = try await Answer.curl([broker.url + "/metrics"])
        #expect(answer.status == 404)
      }
    }
  }
}
