import Basics
import DevTenant
import TestSupport
import Testing

extension LoadTests {
  /// A caller that asks for audiences which nobody knows, by the thousand.
  @Suite struct FloodTests {
    private static let good = (0..<1000).map { "https://ledger.example.com/\($0)" }

    /// Asks for each of the paths at an even pace, ten seconds for all of them. Returns the heads of the answers, and
    /// how long each took.
    private static func ask(
      _ broker: BrokerProcess, _ paths: [String], fields: String
    ) async throws -> [(head: String, took: Duration)] {
      let pause = Duration.seconds(10) / max(1, paths.count)
      let start = Instant.now
      var client = try RawClient(port: broker.port)
      var answers: [(String, Duration)] = []
      for (number, path) in paths.enumerated() {
        // The rate is what the test is about.
        try await Task.sleep(until: start.advanced(by: pause * number))
        // None may ask for ever on one connection.
        if number % 900 == 899 { client = try RawClient(port: broker.port) }
        let asked = Instant.now
        try client.send(API.request(path, fields: fields))
        answers.append((try await client.readResponse().head, asked.duration(to: .now)))
      }
      return answers
    }

    private static func slowest(_ answers: [(head: String, took: Duration)]) -> Duration {
      answers.map(\.took).sorted()[answers.count * 99 / 100]
    }

    private static func isGood(_ answer: (head: String, took: Duration)) -> Bool {
      answer.head.hasPrefix("HTTP/1.1 200 ")
    }

    @Test("Six thousand made-up audiences in ten seconds cost the tenant 160 requests, and other callers nothing")
    func madeUp() async throws {
      let callers = TestCallers()
      let change: (inout DevTenant.Options) -> Void = { options in
        for audience in Self.good { options.audiences[audience] = [] }
      }
      try await withBroker(configuration: callers.text, change) { tenant, broker in
        let known = Array(repeating: API.path, count: 2000)
        #expect(try await broker.token(API.path, "-H", callers.billingProof).status == 200)
        let calm = Self.slowest(try await Self.ask(broker, known, fields: callers.billingProof))
        let floods = (0..<6).map { flood in
          Task {
            try await Self.ask(
              broker, (0..<1000).map { "https://made-up.example.com/\(flood)/\($0)" }, fields: callers.reportsProof)
          }
        }
        async let others = Self.ask(broker, Self.good, fields: callers.billingProof)
        async let held = Self.ask(broker, known, fields: callers.billingProof)
        let (cold, hot) = try await (others, held)
        var made: [(head: String, took: Duration)] = []
        for flood in floods { made += try await flood.value }
        let statistics = tenant.tenant.statistics
        let refused = statistics.tokenRequests - statistics.mints
        print("\(made.count) made up: \(refused) requests; p99 \(calm) before, \(Self.slowest(hot)) meanwhile")
        #expect(refused <= 160 && refused >= 100)
        #expect(made.allSatisfy { $0.head.hasPrefix("HTTP/1.1 404 ") || $0.head.contains("\r\nRetry-After: ") })
        #expect(cold.allSatisfy(Self.isGood) && hot.allSatisfy(Self.isGood))
        #expect(Self.slowest(hot) < max(calm * 4, .milliseconds(50)))
      }
    }

    @Test("Six thousand made-up clients cost the tenant an allowance, and one that it knows asks on")
    func madeUpClients() async throws {
      try await withBroker(configuration: TestCallers().text + "auth0: {passthrough: true}\n") { tenant, broker in
        func ask(_ id: String, _ secret: String, on client: RawClient, audience: String) async throws -> String {
          let body =
            "grant_type=client_credentials&client_id=\(id)&client_secret=\(secret)&audience=\(audience)"
          try client.send(
            "POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
              + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
          return try await client.readResponse().head
        }
        let own = try RawClient(port: broker.port)
        let (id, secret) = (tenant.tenant.clientID, tenant.secret)
        #expect(try await ask(id, secret, on: own, audience: API.path).hasPrefix("HTTP/1.1 200 "))
        for connection in 0..<8 {
          let client = try RawClient(port: broker.port)
          for number in 0..<750 {
            let head = try await ask("made-up-\(connection)-\(number)", "x", on: client, audience: API.path)
            #expect(["401", "429", "503"].contains { head.hasPrefix("HTTP/1.1 \($0) ") })
          }
        }
        let statistics = tenant.tenant.statistics
        print("6000 made-up clients: \(statistics.tokenRequests - statistics.mints) requests")
        #expect(statistics.tokenRequests - statistics.mints <= 160)
        let ledger = try await ask(id, secret, on: own, audience: "https%3A%2F%2Fledger.example.com%2F")
        #expect(ledger.hasPrefix("HTTP/1.1 200 "))
      }
    }
  }
}
