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
