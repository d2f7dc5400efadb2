import Basics
import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// What callers must not notice.
  @Suite struct RefreshTests {
    private static let api = "https%3A%2F%2Fapi.example.com%2F"
    private static let request = "GET /token/\(api) HTTP/1.1\r\nHost: a\r\n\r\n"

    /// Seconds of load; more with `LOAD_SECONDS`.
    private static let seconds = ProcessInfo.processInfo.environment["LOAD_SECONDS"].flatMap { Int($0) } ?? 25

    @Test(
      "Tokens of ten seconds under constant load, from a tenant that fails every other time: no caller sees an error")
    func failingTenant() async throws {
      try await withBroker([:], { $0.lifetime = 10 }) { tenant, broker in
        #expect(try await broker.token(Self.api).status == 200)
        tenant.tenant.play(
          Array(repeating: [.serverErrorHTML, .rfc9068], count: 10 + Self.seconds).flatMap { $0 },
          for: "https://api.example.com/")
        let end = Instant.now.advanced(by: .seconds(Self.seconds))
        var answers = 0
        var errors: [String] = []
        while Instant.now < end {
          // None may ask for ever on one connection.
          let client = try RawClient(port: broker.port)
          for _ in 0..<1000 {
            try client.send(Self.request)
            let answer = try await client.readResponse()
            answers += 1
            if !answer.head.hasPrefix("HTTP/1.1 200 ") { errors.append(answer.body) }
          }
        }
        let (mints, requests) = (tenant.tenant.statistics.mints, tenant.tenant.statistics.tokenRequests)
        // A token lives ten seconds and must be replaced when an eighth of that is left.
        let least = Int((Double(Self.seconds) / 8.75).rounded(.up))
        print("\(answers) answers, \(errors.count) errors, \(mints) mints of at least \(least), \(requests) requests")
        #expect(errors.isEmpty, "\(errors.first ?? "")")
        #expect(mints <= 2 * least + 1)
      }
    }

    @Test("Five thousand callers during a 429 with Retry-After: 30 cost one request; all are told when to come back")
    func rateLimit() async throws {
      try await withBroker { tenant, broker in
        tenant.tenant.play([.rateLimitedSeconds], for: "https://api.example.com/")
        let clients = try (0..<1000).map { _ in try RawClient(port: broker.port, timeout: 60) }
        for _ in 0..<5 { for client in clients { try client.send(Self.request) } }
        for client in clients {
          for _ in 0..<5 {
            let answer = try await client.readResponse()
            #expect(answer.head.hasPrefix("HTTP/1.1 503 ") && answer.body.contains("upstream_rate_limited"))
            let seconds = answer.head.firstMatch(of: /\r\nRetry-After: (\d+)\r\n/).flatMap { Int($0.1) }
            #expect(seconds.map((1...30).contains) == true, "\(answer.head)")
          }
        }
        #expect(tenant.tenant.statistics.tokenRequests == 1)
      }
    }

    @Test(
      "A secret that is changed in its file under load, in place or by a swapped link, fails no caller",
      arguments: [false, true])
    func secretRotation(_ isMounted: Bool) async throws {
      try await withTenant({ $0.lifetime = 4 }) { tenant in
        var path = try tenant.file("secret", tenant.secret)
        if isMounted { path = try tenant.mount("secret", tenant.secret) }
        var environment = tenant.environment
        environment["AUTH0_CLIENT_SECRET"] = nil
        environment["AUTH0_CLIENT_SECRET_FILE"] = path
        let broker = try await BrokerProcess(environment: environment)
        #expect(try await broker.token(Self.api).status == 200)
        let client = try RawClient(port: broker.port)
        var failed = 0
        for rotation in 1...2 {
          let next = "secret-\(rotation)"
          if isMounted { _ = try tenant.mount("secret", next) } else { _ = try tenant.file("secret", next + "\n") }
          // The tenant changes its mind a little later than the file, and refuses the old one then.
          try await broker.wait(forLog: "the client secret has changed", times: rotation)
          tenant.tenant.accept(secrets: [next])
          let mints = tenant.tenant.statistics.mints
          for _ in 0..<100_000 where tenant.tenant.statistics.mints < mints + 2 {
            try client.send(Self.request)
            if try await client.readResponse().head.hasPrefix("HTTP/1.1 200 ") == false { failed += 1 }
          }
          #expect(tenant.tenant.statistics.mints >= mints + 2)
        }
        #expect(failed == 0)
        #expect(!broker.child.errors.contains("secret-1"))
      }
    }
  }
}
