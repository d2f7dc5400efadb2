import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// Listeners behind what speaks the PROXY protocol, with curl in its place.
  @Suite struct ProxiedListenerTests {
    @Test("A listener with ?proxy=required answers behind the header, and tells in the log who came without it")
    func required() async throws {
      try await withBroker(
        ["BROKER_LISTEN": "127.0.0.1:0?proxy=required"], configuration: "proxyFrom: [10.0.0.0/8, 127.0.0.1]\n"
      ) { _, broker in
        for version in ["--http1.1", "--http2-prior-knowledge"] {
          let answer = try await broker.token(API.path, "--haproxy-protocol", version)
          #expect(answer.status == 200 && answer.token != nil)
        }
        let bare = try await broker.token(API.path)
        #expect(bare.status == 400 && bare.body.contains("PROXY protocol"))
        try await broker.child.wait(for: "line") { child in
          child.errors.split(separator: "\n").contains {
            $0.contains("\"refused\"") && $0.contains("PROXY protocol") && $0.contains("\"peer\":\"127.0.0.1:")
          }
        }
      }
    }

    @Test("The line of a request has whom the proxy speaks for as its peer, and that of a token that is given")
    func peer() async throws {
      let callers = TestCallers()
      try await withBroker(
        ["BROKER_LISTEN": "127.0.0.1:0?proxy=required", "BROKER_LOG_LEVEL": "debug"],
        configuration: callers.text + "proxyFrom: 127.0.0.1\n"
      ) { _, broker in
        let client = try RawClient(port: broker.port)
        try client.send("PROXY TCP4 10.0.0.7 10.0.0.1 9 80\r\n" + API.request(fields: callers.billingProof))
        #expect(try await client.readResponse().head.hasPrefix("HTTP/1.1 200 "))
        for message in ["token given", "request"] {
          try await broker.child.wait(for: message) { child in
            child.errors.split(separator: "\n").contains {
              $0.contains("\"message\":\"\(message)\"") && $0.contains(#""peer":"10.0.0.7:9""#)
            }
          }
        }
      }
    }

    @Test(
      "Elsewhere the header is refused by its name, and of what is refused there is a line a minute for each reason")
    func unexpected() async throws {
      try await withBroker { _, broker in
        for _ in 0..<5 {
          let answer = try await broker.token(API.path, "--haproxy-protocol")
          #expect(answer.status == 400 && answer.body.contains("the PROXY protocol is not spoken here"))
        }
        let other = try RawClient(port: broker.port)
        try other.send("BROKEN\r\n\r\n")
        _ = try await other.readToEnd()
        try await broker.child.wait(forLog: "does not start with a method")
        let lines = broker.child.errors.split(separator: "\n").filter { $0.contains("\"refused\"") }
        #expect(lines.count == 2 && lines.allSatisfy { $0.contains("\"status\":") && $0.contains("\"peer\":") })
      }
    }

    @Test(
      "Settings of the PROXY protocol that do not go together, or say nothing, are refused",
      arguments: [
        ("listen: 127.0.0.1:0?proxy=required\n", "proxyFrom"), ("proxyFrom: 10.0.0.0/8\n", "proxyFrom"),
        ("listen: 127.0.0.1:0?proxy=optional\nproxyFrom: 10.0.0.1\n", "listen"),
        ("listen: unix:/run/a?proxy=required\nproxyFrom: 10.0.0.1\n", "listen"),
        ("listen: 127.0.0.1:0?proxy=required\nproxyFrom: 10.0.0.1/8\n", "proxyFrom"),
      ])
    func wrong(_ configuration: String, _ key: String) async throws {
      try await withTenant { tenant in
        let file = try tenant.file("proxied.yaml", configuration)
        let result = try await ChildProcess.run(
          BrokerProcess.executable, ["serve", "--config", file], environment: tenant.environment)
        #expect(result.status == 78 && result.errors.contains("\"reason\":\"\(key) ("), "\(result)")
      }
    }
  }
}
