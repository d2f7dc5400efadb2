import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// The command line: configuration, exit codes, start and end.
  @Suite struct CommandTests {
    private func run(
      _ arguments: [String], _ environment: [String: String] = [:]
    ) async throws -> (status: Int32, output: String, errors: String) {
      try await ChildProcess.run(BrokerProcess.executable, arguments, environment: environment)
    }

    private static let sound = [
      "AUTH0_DOMAIN": "acme.eu.auth0.com", "AUTH0_CLIENT_ID": "id", "AUTH0_CLIENT_SECRET": "t0p-s3cr3t",
      "BROKER_LISTEN": "127.0.0.1:0", "BROKER_ADMIN_LISTEN": "off",
    ]

    @Test(
      "A caller's key goes nowhere in clear but to this machine, however the URL is written, and one line says so",
      arguments: ["http://localhost:x@127.0.0.1", "http://127.0.0.1@localhost", "http://example.invalid"])
    func callerKey(_ url: String) async throws {
      try await withPeer { connection in
        _ = connection.request()
      } _: { peer in
        let result = try await run(
          ["token", "https://a/", "--url", "\(url):\(peer.port)"], ["BROKER_CALLER_KEY": "tb_test"])
        #expect(result.status == 1)
        #expect(result.errors.hasSuffix("a caller's key is sent over https:// or to this machine only\n"))
        #expect(result.errors.split(separator: "\n").count == 1)
        #expect(peer.connections == 0)
      }
    }

    @Test(
      "A wrong configuration exits with 78 and a line for each key, all at once, without the secret",
      arguments: [
        ([:], ["AUTH0_DOMAIN", "AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET"]),
        (sound.merging(["AUTH0_DOMAIN": "http://acme.eu.auth0.com"]) { $1 }, ["AUTH0_DOMAIN"]),
        (sound.merging(["AUTH0_DOMAIN": "http://127.evil.example.com"]) { $1 }, ["AUTH0_DOMAIN"]),
        (sound.merging(["AUTH0_DOMAIN": "https://acme/path"]) { $1 }, ["AUTH0_DOMAIN"]),
        (sound.merging(["AUTH0_DOMAIN": "https://u:p@acme"]) { $1 }, ["AUTH0_DOMAIN"]),
        (sound.merging(["AUTH0_DOMAIN": "http://127.0.0.1.5"]) { $1 }, ["AUTH0_DOMAIN"]),
        (sound.merging(["AUTH0_DOMAIN": "[::1"]) { $1 }, ["AUTH0_DOMAIN"]),
        (sound.merging(["AUTH0_DOMAIN": "acme:0"]) { $1 }, ["AUTH0_DOMAIN"]),
        (sound.merging(["BROKER_LISTEN": ","]) { $1 }, ["BROKER_LISTEN"]),
        (sound.merging(["AUTH0_CLIENT_SECRET_FILE": "/dev/null"]) { $1 }, ["AUTH0_CLIENT_SECRET"]),
        (
          sound.merging(["AUTH0_CLIENT_SECRET": "", "AUTH0_CLIENT_SECRET_FILE": "/dev/null"]) { $1 },
          ["AUTH0_CLIENT_SECRET_FILE"]
        ),
        (
          sound.merging(["AUTH0_CLIENT_SECRET": "", "AUTH0_CLIENT_SECRET_FILE": "/no/such/file"]) { $1 },
          ["AUTH0_CLIENT_SECRET_FILE"]
        ),
        (
          sound.merging(["AUTH0_CLIENT_SECRET": "", "AUTH0_CLIENT_SECRET_FILE": "/tmp"]) { $1 },
          ["AUTH0_CLIENT_SECRET_FILE"]
        ),
        (sound.merging(["AUTH0_CA_FILE": "/dev/null"]) { $1 }, ["AUTH0_CA_FILE"]),
        (
          sound.merging([
            "BROKER_LISTEN": "8080,127.0.0.1:99999", "BROKER_ADMIN_LISTEN": "x", "BROKER_LOG_LEVEL": "loud",
            "BROKER_LOG_FORMAT": "xml", "BROKER_WORKERS": "0", "BROKER_STORE": "redis:x",
          ]) { $1 },
          [
            "BROKER_LISTEN", "BROKER_LISTEN", "BROKER_ADMIN_LISTEN", "BROKER_WORKERS", "BROKER_LOG_LEVEL",
            "BROKER_LOG_FORMAT", "BROKER_STORE",
          ]
        ),
        (
          sound.merging(["BROKER_LISTEN": "unix:@x,https://127.0.0.1:1"]) { $1 },
          ["BROKER_LISTEN", "tls.certificateFile", "tls.keyFile"]
        ),
      ] as [([String: String], [String])])
    func configurationErrors(_ environment: [String: String], _ keys: [String]) async throws {
      for command in ["serve", "check"] {
        let result = try await run([command], environment)
        #expect(result.status == 78)
        let lines = result.errors.split(separator: "\n")
        let start = command == "serve" ? "\"reason\":\"" : "token-broker: "
        let named = lines.map { line in
          line.range(of: start).map { line[$0.upperBound...].prefix { $0 != " " } } ?? "no reason"
        }
        let hint = environment.isEmpty ? ["nothing"] : []
        #expect(named.map(String.init) == keys + hint, "\(result.errors)")
        #expect(!result.errors.contains("t0p-s3cr3t"))
      }
    }

    @Test("An unreadable or empty file is named", arguments: ["/no/such/file", "/dev/null", "/tmp"])
    func files(_ path: String) async throws {
      let environment = Self.sound.merging(["AUTH0_CLIENT_SECRET": "", "AUTH0_CLIENT_SECRET_FILE": path]) { $1 }
      #expect(try await run([], environment).errors.contains(path))
    }

    @Test(
      "A command line that is wrong exits with 64",
      arguments: [["nonsense"], ["serve", "--nope"], ["token"], ["token", ""]])
    func usage(_ arguments: [String]) async throws {
      #expect(try await run(arguments, Self.sound).status == 64)
    }

    @Test("--help names the commands and --config, and exits with 0")
    func help() async throws {
      let result = try await run(["--help"])
      #expect(result.status == 0 && result.output.contains("serve") && result.output.contains("--config FILE"))
    }

    @Test(
      "A command that there is not is told which one was meant",
      arguments: [("chek", "did you mean 'check'?"), ("c.yaml", "token-broker --help lists them")])
    func unknownCommand(_ word: String, _ advice: String) async throws {
      let result = try await run([word], Self.sound)
      #expect(result.status == 64 && result.errors == "token-broker: no such command: '\(word)'; \(advice)\n")
    }

    @Test("Without any configuration it is told what to try")
    func nothing() async throws {
      let result = try await run([])
      #expect(result.status == 78 && result.errors.contains("nothing is configured: try `token-broker dev`"))
      let begun = try await run([], ["AUTH0_DOMAIN": "a.test"])
      #expect(begun.status == 78 && !begun.errors.contains("nothing is configured"))
    }

    @Test("The version is printed however it is asked for", arguments: ["--version", "version", "-v"])
    func version(_ argument: String) async throws {
      let result = try await run([argument])
      #expect(result.status == 0 && result.output.contains(/^\d+\.\d+\.\d+\n$/))
    }

    @Test("Signals for users change nothing", arguments: [SIGUSR1, SIGUSR2])
    func userSignals(_ signal: Int32) async throws {
      try await withBroker { _, broker in
        broker.child.signal(signal)
        let answer = try await Answer.curl([broker.url + "/healthz"])
        #expect(answer.status == 200)
      }
    }

    @Test("A port in use is named, and the broker does not start")
    func portInUse() async throws {
      try await withBroker { tenant, broker in
        let environment = tenant.environment.merging(["BROKER_LISTEN": "127.0.0.1:\(broker.port)"]) { $1 }
        let result = try await run(["serve"], environment)
        #expect(result.status == 1)
        #expect(result.errors.contains("127.0.0.1:\(broker.port)") && result.errors.contains("in use"))
      }
    }

    @Test("Sockets that systemd hands over are served instead of those configured")
    func inheritedSockets() async throws {
      try await withTenant { tenant in
        let socket = try tenant.file("main.sock", "")
        try FileManager.default.removeItem(atPath: socket)
        // As sd_listen_fds(3) has it: from descriptor 3 on, for the process that executes the program.
        let activator = """
          import os, socket, sys
          main = socket.socket(socket.AF_UNIX); main.bind(sys.argv[1]); main.listen()
          os.dup2(main.fileno(), 3); os.set_inheritable(3, True)
          os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="main")
          os.execv(sys.argv[2], [sys.argv[2]])
          """
        let environment = tenant.environment.merging(BrokerProcess.loopback) { $1 }
        let child = try ChildProcess(
          "/usr/bin/python3", ["-c", activator, socket, BrokerProcess.executable], environment: environment)
        try await child.wait(for: "serving line") { $0.errors.contains("\"unix:\(socket)\"") }
        let path = "http://broker/token/https%3A%2F%2Fapi.example.com%2F"
        #expect(try await Answer.curl(["--unix-socket", socket, path]).status == 200)
        child.signal(SIGTERM)
        #expect(try await child.end() == 0)
        #expect(FileManager.default.fileExists(atPath: socket), "it is systemd's")
      }
    }

    @Test("Without a tenant the broker starts, is healthy and ready, and answers 503 with Retry-After")
    func noTenant() async throws {
      let closed = try RawListener()
      let port = closed.port
      closed.close()
      let broker = try await BrokerProcess(environment: [
        "AUTH0_DOMAIN": "http://127.0.0.1:\(port)", "AUTH0_CLIENT_ID": "id", "AUTH0_CLIENT_SECRET": "secret",
      ])
      for probe in ["/healthz", "/readyz"] { #expect(try await Answer.curl([broker.url + probe]).status == 200) }
      let answer = try await broker.token("https://api.example.com/")
      #expect(answer.status == 503 && answer.error == "upstream_unavailable" && answer.field("retry-after") != nil)
    }

    @Test(
      "After SIGTERM or SIGINT the request in flight is answered, then the process ends with 0",
      arguments: [SIGTERM, SIGINT])
    func drain(_ signal: Int32) async throws {
      try await withTenant { tenant in
        let broker = try await tenant.broker()
        // So long the request is in flight. What is asked after it, such as for keys, is answered at once.
        tenant.tenant.setLatency(.seconds(2))
        let client = try RawClient(port: broker.port)
        try client.send(API.request())
        await tenant.wait { $0.tokenRequests > 0 }
        tenant.tenant.setLatency(.zero)
        broker.child.signal(signal)
        try await broker.child.wait(for: "drain") { $0.errors.contains("\"draining\"") }
        let answer = try await client.readToEnd()
        #expect(answer.hasPrefix("HTTP/1.1 200 ") && answer.contains("\r\nConnection: close"))
        #expect(try await broker.child.end() == 0)
        #expect(throws: RawClient.Failure.self) { try RawClient(port: broker.port) }
      }
    }

    @Test("A second signal ends the process at once with 1, though a request is in flight")
    func secondSignal() async throws {
      try await withTenant { tenant in
        let broker = try await tenant.broker()
        let client = try RawClient(port: broker.port)
        try client.send(API.request(Fault.stall.audience))
        await tenant.wait { $0.tokenRequests > 0 }
        broker.child.signal(SIGTERM)
        try await broker.child.wait(for: "drain") { $0.errors.contains("\"draining\"") }
        broker.child.signal(SIGTERM)
        #expect(try await broker.child.end(timeout: .seconds(5)) == 1)
      }
    }

    @Test("The commands token and health ask a running broker")
    func clients() async throws {
      try await withBroker { _, broker in
        let token = try #require(try await broker.token("https://api.example.com/").token)
        let plain = try await run(["token", "https://api.example.com/", "--url", broker.url])
        #expect(plain.status == 0 && plain.output == token + "\n")
        let header = try await run(["token", "https://api.example.com/", "--header", "--url", broker.url + "/"])
        #expect(header.output == "Authorization: Bearer \(token)\n")
        let refused = try await run(["token", "https://nope/", "--url", broker.url])
        #expect(refused.status == 1 && refused.errors.contains("unknown_audience"))
        #expect(try await run(["health", "--url", broker.url]).status == 0)
        #expect(try await run(["health", "--ready"], ["BROKER_LISTEN": "0.0.0.0:\(broker.port)"]).status == 0)
      }
      #expect(try await run(["health", "--url", "http://127.0.0.1:1"]).status == 1)
    }

    /// Runs a broker that listens on a Unix socket, which knows this test's user, and on a TCP port that asks for keys.
    private func withSocket(_ body: (_ file: String, _ socket: String) async throws -> Void) async throws {
      try await withTenant { tenant in
        let socket = try tenant.file("socket", "")
        try FileManager.default.removeItem(atPath: socket)
        let file = try tenant.file(
          "socket.yaml",
          """
          listen: ["unix:\(socket)?mode=0600"]
          admin: {listen: off}
          callers: {me: {unixUser: ["\(getuid())"], audiences: ["*"]}}
          """)
        let child = try ChildProcess(
          BrokerProcess.executable, ["serve", "--config", file], environment: tenant.environment)
        try await child.wait(forLog: "\"message\":\"serving\"")
        try await body(file, socket)
        child.signal(SIGTERM)
        #expect(try await child.end() == 0)
      }
    }

    @Test("The commands ask at a Unix socket, which --url names, or a configuration that is sound in that only")
    func unixSocket() async throws {
      try await withSocket { file, socket in
        // The credentials are not for those who ask.
        for place in [["--url", "unix:\(socket)"], ["--config", file]] {
          let token = try await run(["token", API.audience] + place)
          #expect(token.status == 0 && token.output.hasPrefix("eyJ"), "\(token)")
          let keyed = try await run(["token", API.audience] + place, ["BROKER_CALLER_KEY": "tb_nobody's"])
          #expect(keyed.status == 1 && keyed.errors.contains("invalid_caller"), "a key is sent there: \(keyed)")
          #expect(try await run(["health", "--ready"] + place).status == 0)
        }
        let environment = ["BROKER_CONFIG": "/no/such/file", "BROKER_LISTEN": "unix:\(socket)"]
        #expect(try await run(["health"], environment).status == 0, "variables go before the file")
        #expect(try await run(["health", "--config", "/no/such/file"]).status == 78)
      }
    }

    /// Files of a broker, each of which listens otherwise; PORT stands for a free port, DIR for the test's directory.
    private static let listeners = [
      "listen: https://127.0.0.1:PORT\nadmin: {listen: off}\ntls: {certificateFile: DIR/x.crt, keyFile: DIR/x.key}",
      """
      listen: [https://127.0.0.1:PORT, 'unix:DIR/s']
      admin: {listen: off}
      tls: {certificateFile: DIR/x.crt, keyFile: DIR/x.key, clientCAFile: DIR/x.crt, requireClientCertificate: true}
      """,
      """
      listen: 127.0.0.1:PORT
      admin: {listen: off}
      allowedHosts: [broker.internal]
      requireHeader: 'X-Token-Broker: true'
      """,
    ]

    @Test("health and token ask as the configuration has it: by TLS, at a Unix socket, as a host", arguments: listeners)
    func asConfigured(_ text: String) async throws {
      try await withTenant { tenant in
        // A name that nobody asks for, and an authority that nobody knows.
        try await OpenSSL.run("authority x somebody", in: tenant.directory.path)
        let free = try RawListener()
        let port = free.port
        free.close()
        let text = text.replacing("PORT", with: "\(port)").replacing("DIR", with: tenant.directory.path)
        let file = try tenant.file("c.yaml", text + "\n")
        let child = try ChildProcess(BrokerProcess.executable, ["--config", file], environment: tenant.environment)
        try await child.wait(forLog: "\"message\":\"serving\"")
        let health = try await run(["health", "--config", file])
        #expect(health.status == 0, "\(health)")
        let token = try await run(["token", API.audience, "--config", file])
        #expect(token.status == 0 && token.output.hasPrefix("eyJ"), "\(token)")
        child.signal(SIGTERM)
        #expect(try await child.end() == 0)
        #expect(try await run(["health", "--config", file]).status == 1)
      }
    }

    @Test("health asks the admin listener, whatever the main one is")
    func adminFirst() async throws {
      try await withBroker { _, broker in
        let environment = [
          "BROKER_LISTEN": "https://127.0.0.1:1", "BROKER_ADMIN_LISTEN": "0.0.0.0:\(broker.adminPort)",
        ]
        let health = try await run(["health", "--ready"], environment)
        #expect(health.status == 0, "\(health)")
        let none = try await run(["token", API.audience], environment)
        #expect(none.status == 1 && none.errors.contains("https://127.0.0.1:1"), "\(none)")
      }
    }

    @Test("The service manager is told when the broker serves, reads again, is well and ends")
    func serviceManager() async throws {
      try await withTenant { tenant in
        let socket = tenant.directory.appendingPathComponent("notify").path
        let listen = """
          import socket, sys
          manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
          manager.bind(sys.argv[1]); print("bound", flush=True)
          while True: print(manager.recv(4096).decode().replace("\\n", " "), flush=True)
          """
        let manager = try ChildProcess("/usr/bin/python3", ["-c", listen, socket])
        try await manager.wait(for: "socket") { $0.output.contains("bound") }
        let broker = try await tenant.broker(["NOTIFY_SOCKET": socket, "WATCHDOG_USEC": "200000"])
        let serving = "READY=1 STATUS=Serving at 127.0.0.1:\(broker.port)"
        try await manager.wait(for: "READY") { $0.output.contains(serving) }
        try await manager.wait(for: "WATCHDOG") { $0.output.contains("WATCHDOG=1") }
        broker.child.signal(SIGHUP)
        try await manager.wait(for: "RELOADING") { $0.output.contains(/RELOADING=1 MONOTONIC_USEC=[0-9]+/) }
        try await manager.wait(for: "READY again") { $0.output.matches(of: /READY=1/).count == 2 }
        try await broker.end()
        try await manager.wait(for: "STOPPING") { $0.output.contains("STOPPING=1") }
        manager.signal(SIGTERM)
        try await manager.end()
      }
    }

    @Test("A token is printed as each program reads one")
    func outputs() async throws {
      try await withBroker { _, broker in
        func token(_ arguments: String..., environment: [String: String] = [:]) async throws -> String {
          let result = try await run(["token", API.audience, "--url", broker.url] + arguments, environment)
          #expect(result.status == 0, "\(result)")
          return result.output
        }
        let text = try await token()
        let bare = String(text.dropLast())
        #expect(try await token("--output", "text") == text && text.hasSuffix("\n"))
        #expect(try await token("--output", "header") == "Authorization: Bearer \(text)")
        #expect(try await token("--output", "json").contains("\"access_token\":\"\(bare)\""))
        let info = #"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","spec":{}}"#
        let credential = try await token("--output", "exec-credential", environment: ["KUBERNETES_EXEC_INFO": info])
        #expect(credential.contains("io/v1beta1\"") && credential.contains("\"token\":\"\(bare)\""))
        let wrong = try await run(["token", API.audience, "--header", "--output", "json", "--url", broker.url])
        #expect(wrong.status == 64)
      }
    }

    @Test("token --fresh asks for a new token")
    func fresh() async throws {
      try await withBroker(configuration: "cache: {minRefreshInterval: 1s}") { tenant, broker in
        _ = try await broker.token(API.path)
        try await eventually("a new token") {
          let result = try await run(["token", API.audience, "--fresh", "--url", broker.url])
          #expect(result.status == 0)
          return tenant.tenant.statistics.mints == 2
        }
      }
    }

    @Test("git fills in a token, and a token that it was refused is replaced")
    func git() async throws {
      try await withBroker(configuration: "cache: {minRefreshInterval: 1s}") { tenant, broker in
        let helper = "!\(BrokerProcess.executable) token \(API.audience) --url \(broker.url)"
        func git(_ action: String, _ more: String = "") async throws -> String {
          let script =
            "cd / && printf 'protocol=https\\nhost=git.example.com\\n\(more)\\n' "
            + "| git -c credential.helper=\"$0\" credential \(action)"
          let result = try await ChildProcess.run("sh", ["-c", script, helper], environment: ["HOME": "/nonexistent"])
          #expect(result.status == 0, "\(result)")
          return result.output
        }
        let token = try #require(try await broker.token(API.path).token)
        #expect(try await git("fill").contains("username=token\npassword=\(token)\n"))
        #expect(try await git("fill", "username=me\\n").contains("username=me\npassword=\(token)\n"))
        _ = try await git("approve", "username=token\\npassword=\(token)\\n")
        #expect(tenant.tenant.statistics.mints == 1)
        try await eventually("a new token") {
          _ = try await git("reject", "username=token\\npassword=\(token)\\n")
          return tenant.tenant.statistics.mints == 2
        }
      }
    }
  }
}
