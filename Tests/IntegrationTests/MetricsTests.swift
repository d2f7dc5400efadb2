import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// What those who watch the broker are told.
  @Suite struct MetricsTests {
    private static let api = "https%3A%2F%2Fapi.example.com%2F"

    /// Sample by name and labels, as they stand there.
    private func scrape(_ broker: BrokerProcess, _ arguments: String...) async throws -> [String: Double] {
      let answer = try await Answer.curl([broker.adminURL + "/metrics"] + arguments)
      #expect(answer.status == 200)
      var samples: [String: Double] = [:]
      for line in answer.body.split(separator: "\n") where !line.hasPrefix("#") {
        let space = try #require(line.lastIndex(of: " "))
        let name = String(line[..<space])
        #expect(samples[name] == nil, "\(name) stands there twice")
        samples[name] = Double(String(line[line.index(after: space)...])) ?? .nan
        #expect(samples[name]?.isNaN == false, "\(line)")
      }
      return samples
    }

    @Test("Counters say what clients sent and what it cost, to the last request")
    func reconciled() async throws {
      let callers = TestCallers()
      try await withTenant { tenant in
        let broker = try await BrokerProcess(environment: tenant.environment.merging(callers.file(tenant)) { $1 })
        let proof = "Authorization: Bearer \(callers.billing)"
        _ = try await broker.token(Self.api, "-H", proof)
        let clients = try (0..<10).map { _ in try RawClient(port: broker.port, timeout: 30) }
        let request = "GET /token/\(Self.api) HTTP/1.1\r\nHost: a\r\n\(proof)\r\n\r\n"
        for _ in 0..<50 { for client in clients { try client.send(request) } }
        for client in clients { for _ in 0..<50 { _ = try await client.readResponse() } }
        for _ in 0..<3 { _ = try await broker.token(Self.api) }
        _ = try await broker.token("https://other/", "-H", proof)
        _ = try await broker.token("https://ledger.example.com/unknown", "-H", proof)
        _ = try await broker.token("https://ledger.example.com/unknown", "-H", proof)
        _ = try await Answer.curl([broker.url + "/forward-auth/\(Self.api)", "-H", proof])
        _ = try await Answer.curl([broker.url + "/nothing"])

        let samples = try await scrape(broker)
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

    @Test("Under load, scrapes never run backwards, and at its end every request is in them once, refused ones too")
    func underLoad() async throws {
      try await withBroker(["BROKER_WORKERS": "2"]) { tenant, broker in
        let other = "https%3A%2F%2Fledger.example.com%2F"
        func get(_ path: String, _ fields: String = "") -> String { "GET \(path) HTTP/1.1\r\nHost: a\r\n\(fields)\r\n" }
        let token = "/token/{audience}"
        let forward = "/forward-auth/{audience}"
        var loads = (0..<6).map { _ in
          Load(request: get("/token/\(Self.api)"), status: 200, route: token, repeats: 300)
        }
        loads += (0..<4).map {
          Load(request: get("/token/\(other)?scope="), status: 400, route: token, repeats: 20 + $0)
        }
        loads += (0..<8).map { number in
          // Ten keys, each asked for by several at once.
          Load(request: get("/token/\(Self.api)?organization=\(number % 2)"), status: 200, route: token, repeats: 10)
        }
        loads += [
          Load(request: get("/forward-auth/\(Self.api)"), status: 200, route: forward, repeats: 50),
          Load(request: get("/token/https://nobody.example.com/"), status: 404, route: token, repeats: 40),
          Load(request: get("/nothing"), status: 404, route: "other", repeats: 30),
          Load(request: get("/healthz"), status: 200, route: "/healthz", repeats: 30),
          Load(request: "nonsense\r\n\r\n", status: 400, route: "refused", repeats: 20),
          Load(request: get("/\(String(repeating: "a", count: 9000))"), status: 414, route: "refused", repeats: 5),
          Load(
            request: get("/", "X: \(String(repeating: "a", count: 17000))\r\n"), status: 431, route: "refused",
            repeats: 7),
          Load(
            request: "POST /oauth/token HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n", status: 413,
            route: "refused",
            repeats: 9),
          Load(
            request: get("/", "Transfer-Encoding: gzip, chunked\r\n"), status: 501, route: "refused", repeats: 3),
          Load(request: "GET / HTTP/3.0\r\nHost: a\r\n\r\n", status: 505, route: "refused", repeats: 4),
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

        let samples = try await scrape(broker)
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
        let samples = try await scrape(broker)
        for (name, value) in samples where name.contains(/_(total|count|bucket)(\{|$)/) {
          #expect(value >= before[name] ?? 0, "\(name)")
        }
        (count, before) = (count + 1, samples)
      } while !done.isRaised || count < 2
      return count
    }

    @Test("Connections beyond the limit are in them, and requests that come too slowly")
    func beyondLimits() async throws {
      try await withTenant { tenant in
        let file = try tenant.file("limits.yaml", "limits: {connections: 8, headerTimeout: 1s}\n")
        let broker = try await BrokerProcess(environment: tenant.environment.merging(["BROKER_CONFIG": file]) { $1 })
        let slow = try RawClient(port: broker.port)
        try slow.send("GET / HT")
        #expect(try await slow.readToEnd().hasPrefix("HTTP/1.1 408 "))
        let big = ["--http2-prior-knowledge", "-H", "X: \(String(repeating: "a", count: 17_000))"]
        #expect(try await Answer.curl([broker.url + "/healthz"] + big).status == 431)
        let held = try (0..<8).map { _ in try RawClient(port: broker.port) }
        for client in held { try client.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n") }
        for client in held { _ = try await client.readResponse() }
        let late = try RawClient(port: broker.port)
        try late.send("GET /token/\(Self.api) HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try await late.readToEnd().hasPrefix("HTTP/1.1 503 "))
        let samples = try await scrape(broker)
        let refused = { (status: Int, samples: [String: Double]) in
          samples["token_broker_http_requests_total{route=\"refused\",status=\"\(status)\"}"] ?? 0
        }
        for status in [408, 431, 503] { #expect(refused(status, samples) == 1) }
        // Where there is no room even in the reserve, a bare 503 is all.
        let flood = try (0..<200).map { _ in try RawClient(port: broker.port) }
        var isRefused = false
        // The reserve has had room again for one that came after a second, on a slow machine.
        for client in flood.reversed() where !isRefused {
          isRefused = try await client.readToEnd().hasPrefix("HTTP/1.1 503 ")
        }
        #expect(isRefused)
        let after = try await scrape(broker)
        #expect(refused(503, after) >= 2)
        #expect(tenant.tenant.statistics.tokenRequests == 0)
      }
    }

    @Test("promtool finds nothing to say against them", .enabled(if: has("promtool"), "promtool is not here"))
    func promtool() async throws {
      try await withBroker { _, broker in
        _ = try await broker.token(Self.api)
        let script = "curl --silent --fail --max-time 10 \(broker.adminURL)/metrics | promtool check metrics"
        let result = try await ChildProcess.run("sh", ["-c", script])
        #expect(result.status == 0 && result.errors.isEmpty, "\(result)")
      }
    }

    private static func has(_ program: String) -> Bool {
      ["/usr/bin/", "/usr/local/bin/"].contains { FileManager.default.isExecutableFile(atPath: $0 + program) }
    }

    @Test("OpenMetrics for those who ask for it; nothing on the main listener")
    func formats() async throws {
      try await withBroker { _, broker in
        let accept = "Accept: application/openmetrics-text; version=1.0.0"
        let open = try await Answer.curl([broker.adminURL + "/metrics", "-H", accept])
        #expect(open.field("content-type")?.hasPrefix("application/openmetrics-text") == true)
        #expect(open.body.hasSuffix("# EOF\n") && open.body.contains("# TYPE token_broker_tokens_minted counter\n"))
        let plain = try await Answer.curl([broker.adminURL + "/metrics"])
        #expect(plain.field("content-type")?.hasPrefix("text/plain; version=0.0.4") == true)
        #expect(plain.body.contains("# TYPE token_broker_tokens_minted_total counter\n"))
        #expect(try await Answer.curl([broker.url + "/metrics"]).status == 404)
      }
    }
  }
}
