import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// The configurations under `deploy/proxies`, with the proxies they are for.
  @Suite struct ProxyTests {
    /// What stands there for the reader to replace, replaced: the broker, its caller's key, and the application.
    private static func snippet(_ name: String, _ broker: BrokerProcess, _ key: String, application: String) throws
      -> String
    {
      try Repository.text("deploy/proxies/\(name)")
        .replacing("127.0.0.1:8080", with: "127.0.0.1:\(broker.port)").replacing("tb_REPLACE_ME", with: key)
        .replacing("api.example.com:80", with: application).replacing(
          "http://api.example.com", with: "http://\(application)")
    }

    /// A port that was free a moment ago.
    private static func freePort() throws -> UInt16 {
      let listener = try RawListener()
      defer { listener.close() }
      return listener.port
    }

    private func withBroker(_ body: (Tenant, BrokerProcess, TestCallers) async throws -> Void) async throws {
      let callers = TestCallers()
      try await withTenant { tenant in
        let broker = try await tenant.broker(configuration: callers.text)
        try await body(tenant, broker, callers)
      }
    }

    /// The application says which Authorization it was sent; a browser's own must not get there.
    private func expectToken(_ url: String, _ broker: BrokerProcess, _ callers: TestCallers) async throws {
      let token = try #require(
        try await broker.token("https%3A%2F%2Fapi.example.com%2F", "-H", callers.billingProof)
          .token)
      for arguments in [
        [], ["-X", "POST", "-d", "a body"], ["-H", "Authorization: Bearer the-browser's"],
        ["-H", "Origin: https://shop.example", "-H", "Cache-Control: no-cache", "-H", "Accept: text/html"],
      ] {
        let answer = try await Answer.curl(
          [url, "--retry", "20", "--retry-connrefused", "--retry-delay", "1"] + arguments)
        #expect(answer.status == 200 && answer.body == "Bearer \(token)", "\(arguments): \(answer.head) \(answer.body)")
      }
    }

    @Test("nginx adds a token to what it passes on (auth_request)")
    func nginx() async throws {
      try await withBroker { tenant, broker, callers in
        let (port, application) = (try Self.freePort(), try Self.freePort())
        let snippet = try Self.snippet(
          "nginx.conf", broker, callers.billing, application: "127.0.0.1:\(application)"
        ).replacing("listen 8000", with: "listen 127.0.0.1:\(port)")
        let directory = try tenant.file("nginx.pid", "").dropLast("nginx.pid".count)
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
          .map { "\($0)_temp_path \(directory)\($0);" }.joined(separator: "\n")
        let configuration = """
          daemon off; master_process off; pid \(directory)nginx.pid; error_log stderr warn;
          events {}
          http {
            access_log off;
            \(temporary)
            server { listen 127.0.0.1:\(application); location / { return 200 $http_authorization; } }
            \(snippet)
          }
          """
        let nginx = try ChildProcess("nginx", ["-c", try tenant.file("nginx.conf", configuration)])
        try await expectToken("http://127.0.0.1:\(port)/orders/?scope=write:a", broker, callers)
        nginx.signal(SIGTERM)
        try await nginx.end()
      }
    }

    @Test("Caddy adds a token to what it passes on (forward_auth)")
    func caddy() async throws {
      try await withBroker { tenant, broker, callers in
        let (port, application) = (try Self.freePort(), try Self.freePort())
        let snippet = try Self.snippet(
          "Caddyfile", broker, callers.billing, application: "127.0.0.1:\(application)"
        ).replacing(":8000", with: "http://127.0.0.1:\(port)")
          // As the file says for Debian's.
          .replacing("header_up -*", with: "header_up -Cookie")
        let configuration = """
          {
          	admin off
          	auto_https off
          }
          http://127.0.0.1:\(application) {
          	respond "{http.request.header.Authorization}"
          }
          \(snippet)
          """
        let file = try tenant.file("Caddyfile", configuration)
        let caddy = try ChildProcess(
          "caddy", ["run", "--config", file, "--adapter", "caddyfile"],
          environment: ["HOME": String(file.dropLast("Caddyfile".count))])
        try await expectToken("http://127.0.0.1:\(port)/orders?scope=write:a", broker, callers)
        caddy.signal(SIGTERM)
        try await caddy.end()
      }
    }

    @Test(
      "check accepts the examples for other authorization servers",
      arguments: ["okta", "entra", "cognito", "keycloak", "hydra"])
    func providers(_ name: String) async throws {
      let text = try Repository.text("deploy/providers/\(name).yaml")
      try await withTenant { tenant in
        let secret = try tenant.file("secret", tenant.secret)
        let key = try tenant.file("key.pem", "")
        let made = try await ChildProcess.run("openssl", ["genrsa", "-out", key, "2048"])
        #expect(made.status == 0)
        // Where nobody listens: what matters is that it is understood, and then tried.
        let local = text.replacing(/\/run\/secrets\/okta.pem/, with: key).replacing(
          /\/run\/secrets\/[a-z]+/, with: secret
        )
        .replacing(/https:\/\/[A-Za-z0-9.\-]+\//, with: "http://127.0.0.1:1/")
        let result = try await ChildProcess.run(
          BrokerProcess.executable, ["check", "--config", try tenant.file("\(name).yaml", local)])
        #expect(result.status == 1 && result.output.contains("ok      configuration"), "\(result)")
        #expect(result.output.contains("failed  tcp            127.0.0.1:1: "), "\(result.output)")
      }
    }

    @Test("check accepts the annotated example of a configuration")
    func example() async throws {
      try await withTenant { tenant in
        let text = try Repository.text("deploy/token-broker.yaml")
        let secret = try tenant.file("secret", tenant.secret)
        let file = try tenant.file(
          "example.yaml",
          text.replacing("/run/secrets/auth0 ", with: "\(secret) ").replacing(
            "YOUR-TENANT.example", with: tenant.tenant.baseURL))
        let result = try await ChildProcess.run(
          BrokerProcess.executable, ["check", "--verbose", "--config", file],
          environment: tenant.environment.filter { $0.key == "AUTH0_CA_FILE" || $0.key == "AUTH0_CLIENT_ID" })
        #expect(result.output.contains("ok      configuration"), "\(result)")
        #expect(result.output.contains("ok      token          https://api.example.com/: a valid token"))
        #expect(result.output.contains("auth0.clientId = \(tenant.tenant.clientID)  (AUTH0_CLIENT_ID)"))
        #expect(result.output.contains("callers.billing.bearerSHA256 = 676b04f57c60"))
        #expect(result.output.contains("upstream.timeout = 10s  (\(file):"))
        #expect(!(result.output + result.errors).contains(tenant.secret))
      }
    }
  }
}
