import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// What `docs/recipes.md` tells people to write, with the programs it is for.
  @Suite struct RecipeTests {
    /// The recipe that begins with a comment of the file's name, with `changes` of what is another's to choose.
    private static func recipe(_ file: String, _ changes: [(String, String)] = []) throws -> String {
      let blocks = try Repository.text("docs/recipes.md").components(separatedBy: "\n```")
      let mark = "\n# \(file)\n"
      let found = blocks.first { $0.drop { $0 != "\n" }.hasPrefix(mark) }
      var text = try #require(found, "there is no recipe for \(file)").drop { $0 != "\n" }.dropFirst(mark.count) + "\n"
      for (old, new) in changes {
        #expect(text.contains(old), "\(file): \(old)")
        text = text.replacing(old, with: new)
      }
      return String(text)
    }

    /// An API that says what it was asked for, with which token.
    private struct Server {
      let child: ChildProcess
      let port: Int

      init(_ identity: String...) async throws {
        child = try ChildProcess(
          "/usr/bin/python3", [Repository.path("Tests/IntegrationTests/Clients/api_server.py")] + identity)
        port = try await child.wait(for: "port") { child in
          child.output.contains("\n") ? child.output.split(separator: "\n").first.flatMap { Int($0) } : nil
        }
      }

      func wait(for request: String) async throws {
        try await child.wait(for: "\(request) at the API") { $0.output.contains(request + "\n") }
      }
    }

    private static let metrics = "callers: {prometheus: {bearerSHA256: [DIGEST], audiences: [\"*\"]}}"

    /// Runs a broker, and gives the environment in which `token-broker` is found and asks it.
    private func withEnvironment(
      _ body: (_ tenant: Tenant, _ environment: [String: String], _ token: String) async throws -> Void
    ) async throws {
      try await withBroker { tenant, broker in
        let programs = URL(fileURLWithPath: BrokerProcess.executable).deletingLastPathComponent().path
        let environment = [
          "PATH": "\(programs):/usr/local/bin:/usr/bin:/bin:/usr/sbin", "BROKER_LISTEN": "127.0.0.1:\(broker.port)",
          "HOME": String(try tenant.file("home", "").dropLast("/home".count)),
        ]
        try await body(tenant, environment, try #require(try await broker.token(API.path).token))
      }
    }

    private static func freePort() throws -> UInt16 {
      let listener = try RawListener()
      defer { listener.close() }
      return listener.port
    }

    @Test("Prometheus scrapes with a token", .enabled(if: Programs.has("prometheus"), "prometheus is not here"))
    func prometheus() async throws {
      let key = "tb_\(UUID().uuidString)"
      let callers = Self.metrics.replacing("DIGEST", with: TestCallers.digest(key))
      try await withBroker(configuration: callers) { tenant, broker in
        let token = try #require(try await broker.token(API.path, "-H", "Authorization: Bearer \(key)").token)
        let server = try await Server()
        let configuration = try Self.recipe(
          "prometheus.yml",
          [
            ("/run/secrets/broker-key", try tenant.file("key", key)), ("127.0.0.1:8080", "127.0.0.1:\(broker.port)"),
            ("api.example.com:80", "127.0.0.1:\(server.port)"),
          ])
        let file = try tenant.file("prometheus.yml", "global: {scrape_interval: 1s}\n" + configuration)
        let prometheus = try ChildProcess(
          "prometheus",
          [
            "--config.file=\(file)", "--storage.tsdb.path=\(file).data",
            "--web.listen-address=127.0.0.1:\(try Self.freePort())",
          ])
        try await server.wait(for: "GET /metrics Bearer \(token)")
        prometheus.signal(SIGTERM)
        try await prometheus.end()
      }
    }

    @Test("kubectl asks with a token", .enabled(if: Programs.has("kubectl"), "kubectl is not here"))
    func kubectl() async throws {
      try await withEnvironment { tenant, environment, token in
        let (certificate, key) = (try tenant.file("server.pem", ""), try tenant.file("server.key", ""))
        let made = try await ChildProcess.run(
          "openssl",
          [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj",
            "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate,
          ])
        #expect(made.status == 0, "\(made.errors)")
        let server = try await Server(certificate, key)
        let cluster = """
          apiVersion: v1
          kind: Config
          current-context: it
          contexts: [{name: it, context: {cluster: it, user: broker}}]
          clusters:
          - name: it
            cluster: {server: "https://127.0.0.1:\(server.port)", certificate-authority: \(certificate)}

          """
        let file = try tenant.file("kubeconfig", cluster + Self.recipe("kubeconfig"))
        let result = try await ChildProcess.run(
          "kubectl", ["--kubeconfig", file, "get", "--raw", "/version"], environment: environment)
        #expect(result.status == 0 && result.output.contains("orders_total"), "\(result)")
        try await server.wait(for: "GET /version Bearer \(token)")
      }
    }

    @Test("git fills in a token as it is configured")
    func git() async throws {
      try await withEnvironment { tenant, environment, token in
        _ = try tenant.file(".gitconfig", Self.recipe(".gitconfig"))
        let result = try await ChildProcess.run(
          "sh", ["-c", "cd / && printf 'protocol=https\\nhost=git.example.com\\n\\n' | git credential fill"],
          environment: environment)
        #expect(result.status == 0 && result.output.contains("\nusername=token\npassword=\(token)\n"), "\(result)")
      }
    }

    @Test("rclone lists files with a token", .enabled(if: Programs.has("rclone"), "rclone is not here"))
    func rclone() async throws {
      try await withEnvironment { tenant, environment, token in
        let server = try await Server()
        let file = try tenant.file(
          "rclone.conf", Self.recipe("rclone.conf", [("files.example.com", "127.0.0.1:\(server.port)")]))
        let result = try await ChildProcess.run(
          "rclone", ["--config", file, "lsf", "files:"], environment: environment)
        #expect(result.status == 0, "\(result)")
        try await server.wait(for: "PROPFIND / Bearer \(token)")
      }
    }

    @Test("squid puts a token into requests that pass it", .enabled(if: Programs.has("squid"), "squid is not here"))
    func squid() async throws {
      try await withEnvironment { tenant, environment, token in
        let (server, port) = (try await Server(), try Self.freePort())
        let helper = try tenant.file("token-helper", Self.recipe("token-helper"))
        let hosts = try tenant.file("hosts", "127.0.0.1 api.example.com\n")
        // squid reads and runs these as another user.
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: helper)
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: hosts)
        let rules = try Self.recipe("squid.conf", [("/etc/squid/token-helper", helper)])
        let file = try tenant.file(
          "squid.conf",
          rules + """
            http_port 127.0.0.1:\(port)
            hosts_file \(hosts)
            pid_filename none
            access_log none
            cache_log /dev/stderr
            cache deny all
            netdb_filename none
            pinger_enable off
            visible_hostname localhost
            shutdown_lifetime 0 seconds

            """)
        let squid = try ChildProcess("squid", ["-N", "-f", file], environment: environment)
        let answer = try await Answer.curl([
          "--proxy", "http://127.0.0.1:\(port)", "--retry", "20", "--retry-connrefused", "--retry-delay", "1",
          "-H", "Authorization: Bearer the-program's", "http://api.example.com:\(server.port)/orders",
        ])
        #expect(answer.status == 200, "\(answer.head) \(squid.errors)")
        try await server.wait(for: "GET /orders Bearer \(token)")
        #expect(!server.child.output.contains("the-program's"))
        squid.signal(SIGTERM)
        try await squid.end()
      }
    }
  }
}
