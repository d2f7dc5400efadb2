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
          over.contains("\"failures\":\"3\"") && over.contains("\"audience\":\"https://api.example.com/\""), "\(over)")
        #expect(over.contains(/"seconds":"\d+"/) && over.contains("\"level\":\"info\""))
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
