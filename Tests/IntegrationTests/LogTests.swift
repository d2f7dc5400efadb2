import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// What is logged, and what is not. That each field of each line is a listed one is seen to by the broker itself.
  @Suite struct LogTests {
    @Test("A failure that repeats itself is logged once, and its end with how often it was")
    func outage() async throws {
      try await withBroker { tenant, broker in
        tenant.tenant.play([.serverErrorHTML, .serverErrorHTML, .serverErrorHTML], for: "https://api.example.com/")
        // Comes back when Retry-After says so, until there is a token.
        let result = try await ChildProcess.run(
          "curl", ["--silent", "--fail", "--retry", "30", "--max-time", "60", "\(broker.url)/token/\(API.path)"])
        #expect(result.status == 0 && result.output.contains("access_token"))
        try await broker.child.wait(forLog: "\"message\":\"tokens again\"")
        let log = broker.child.errors
        #expect(tenant.tenant.statistics.tokenRequests == 4)
        #expect(log.components(separatedBy: "\"message\":\"no token\"").count == 2, "\(log)")
        let over = try #require(log.split(separator: "\n").first { $0.contains("tokens again") })
        #expect(
          over.contains("\"failures\":3") && over.contains("\"audience\":\"https://api.example.com/\""), "\(over)")
        #expect(over.contains(/"seconds":\d+[,}]/) && over.contains("\"level\":\"info\""))
      }
    }

    /// The lines of a log, each read as JSON; what is none fails the test.
    private func lines(_ log: String) throws -> [[String: Any]] {
      try log.split(separator: "\n").map { line in
        try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
      }
    }

    @Test("A request's line has numbers as numbers, and its method as it was sent")
    func request() async throws {
      try await withBroker(["BROKER_LOG_LEVEL": "debug"]) { _, broker in
        _ = try await Answer.curl(["\(broker.url)/nowhere", "-X", "propFind"])
        _ = try await Answer.curl(["\(broker.url)/nowhere", "--http2-prior-knowledge"])
        try await broker.child.wait(forLog: "\"message\":\"request\"", times: 2)
        let requests = try lines(broker.child.errors).filter { $0["message"] as? String == "request" }
        #expect(requests.map { $0["method"] as? String } == ["propFind", "GET"])
        #expect(requests.map { $0["status"] as? Int } == [404, 404])
        #expect(requests.allSatisfy { $0["duration_ms"] is Int && $0["path"] as? String == "/nowhere" })
      }
    }

    @Test("serving says where it listens as the configuration does, how many callers there are, and on which libraries")
    func serving() async throws {
      try await withSecureBroker { _, broker in
        let line = try #require(try lines(broker.child.errors).first { $0["message"] as? String == "serving" })
        #expect(line["callers"] as? Int == 1 && line["workers"] is Int)
        #expect((line["libraries"] as? String)?.contains(" OpenSSL/3") == true)
        #expect(
          line["addresses"] as? String
            == "127.0.0.1:\(broker.plainPort) https://127.0.0.1:\(broker.securePort) unix:\(broker.socket)")
      }
    }

    @Test(
      "What keeps the broker from starting is said in the log's format, one line for each reason",
      arguments: [
        (["BROKER_WORKERS": "0", "AUTH0_DOMAIN": ""], ["AUTH0_DOMAIN (environment): ", "BROKER_WORKERS (env"]),
        (["BROKER_LISTEN": "192.0.2.1:8080"], ["listen (BROKER_LISTEN): cannot listen on 192.0.2.1:8080: "]),
        (["BROKER_ADMIN_LISTEN": "192.0.2.1:8080"], ["admin.listen (BROKER_ADMIN_LISTEN): cannot listen on "]),
        (["BROKER_CONFIG": "/no/such/file"], ["configuration (/no/such/file): No such file"]),
      ] as [([String: String], [String])])
    func failingStart(_ wrong: [String: String], _ reasons: [String]) async throws {
      try await withTenant { tenant in
        let environment = tenant.environment.merging(BrokerProcess.loopback) { $1 }.merging(wrong) { $1 }
        let json = try await ChildProcess.run(BrokerProcess.executable, [], environment: environment)
        #expect(json.status == (wrong["BROKER_CONFIG"] != nil || reasons.count > 1 ? 78 : 1))
        let found = try lines(json.errors).filter { $0["level"] as? String == "critical" }
        let said = found.compactMap { $0["reason"] as? String }.sorted()
        #expect(said.count == reasons.count && zip(said, reasons).allSatisfy { $0.hasPrefix($1) }, "\(json.errors)")

        let text = try await ChildProcess.run(
          BrokerProcess.executable, [], environment: environment.merging(["BROKER_LOG_FORMAT": "text"]) { $1 })
        #expect(text.status == json.status)
        let words = text.errors.split(separator: "\n")
        #expect(words.allSatisfy { $0.contains(#/^\d{4}-[-0-9T:.]+Z (warning|critical) the /#) })
        #expect(text.errors.matches(of: #/ critical the [^"]+ reason="/#).count == reasons.count)
      }
    }

    @Test("An address that is taken is told with its setting, and how to find out who has it")
    func addressInUse() async throws {
      try await withBroker { tenant, broker in
        let environment = tenant.environment.merging(["BROKER_LISTEN": "127.0.0.1:\(broker.port)"]) { $1 }
        let result = try await ChildProcess.run(BrokerProcess.executable, [], environment: environment)
        let reason = try lines(result.errors).last?["reason"] as? String
        #expect(reason?.hasPrefix("listen (BROKER_LISTEN): cannot listen on 127.0.0.1:\(broker.port): ") == true)
        #expect(reason?.contains("Address already in use") == true && reason?.contains("ss -ltnp") == true)
      }
    }

    @Test("A value that looks like fields of a line stays in its own")
    func forged() async throws {
      try await withBroker { _, broker in
        _ = try await broker.token("x%22,%22level%22:%22debug%22,%22y%22:%22z")
        try await broker.child.wait(forLog: "\"message\":\"no token\"")
        let line = try #require(broker.child.errors.split(separator: "\n").first { $0.contains("no token") })
        let fields = try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(fields["audience"] as? String == #"x","level":"debug","y":"z"#)
      }
    }

    @Test("A reload changes level, format and audit of the log")
    func reload() async throws {
      let callers = TestCallers()
      try await withTenant { tenant in
        let broker = try await tenant.broker(configuration: callers.text + "log: {level: info}\n")
        let proof = callers.billingProof
        func count(_ text: String) -> Int { broker.child.errors.components(separatedBy: text).count - 1 }
        #expect(try await broker.token(API.path, "-H", proof).status == 200)
        try await broker.child.wait(forLog: "\"message\":\"token given\"")
        #expect(count("\"message\":\"request\"") == 0)

        _ = try tenant.file("broker.yaml", callers.text + "log: {level: debug, audit: false}\n")
        broker.child.signal(SIGHUP)
        try await broker.child.wait(forLog: BrokerProcess.reloaded)
        #expect(try await broker.token(API.path, "-H", proof).status == 200)
        try await broker.child.wait(forLog: "\"message\":\"request\"")
        #expect(count("\"message\":\"token given\"") == 1)

        _ = try tenant.file("broker.yaml", callers.text + "log: {level: info, format: text}\n")
        broker.child.signal(SIGHUP)
        try await broker.child.wait(forLog: " info the configuration was read again")
        #expect(try await broker.token(API.path, "-H", proof).status == 200)
        try await broker.child.wait(forLog: " info token given audience=\"https://api.example.com/\"")
        #expect(count("\"message\":\"request\"") == 1 && count(" debug request") == 0)
        #expect(count("takes effect at the next start") == 0)
      }
    }
  }
}
