import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// What the broker depends on beside tenants and stores: `check`, the log, `/status.json` and metrics tell of each.
  @Suite struct DependencyTests {
    private struct Files {
      let directory: String
      let environment: [String: String]
    }

    /// Runs a tenant, with certificates and a configuration that uses them.
    private func withCertificates(_ script: String, _ body: (Tenant, Files) async throws -> Void) async throws {
      try await withTenant { tenant in
        let directory = String(try tenant.file("broker.yaml", "").dropLast("broker.yaml".count))
        let script = "authority ca; \(script); cp server.crt shown.crt; cp server.key shown.key"
        try await OpenSSL.run(script, in: directory)
        _ = try tenant.file(
          "broker.yaml",
          """
          tls:
            {certificateFile: \(directory)shown.crt, keyFile: \(directory)shown.key, clientCAFile: \(directory)ca.crt}

          """)
        let environment = [
          "BROKER_CONFIG": directory + "broker.yaml", "BROKER_LISTEN": "127.0.0.1:0,https://127.0.0.1:0",
        ]
        try await body(tenant, Files(directory: directory, environment: environment))
      }
    }

    private func check(_ environment: [String: String]) async throws -> (status: Int32, findings: [[String: Any]]) {
      let made = try await ChildProcess.run(BrokerProcess.executable, ["check", "--json"], environment: environment)
      let object = try JSONSerialization.jsonObject(with: Data(made.output.utf8)) as? [String: Any]
      return (made.status, object?["checks"] as? [[String: Any]] ?? [])
    }

    private func status(_ broker: BrokerProcess) async throws -> [String: Any] {
      try await Answer.curl(["\(broker.adminURL)/status.json"]).json
    }

    private func titles(_ status: [String: Any]) -> [String] {
      (status["problems"] as? [[String: Any]] ?? []).compactMap { $0["title"] as? String }
    }

    @Test("check: the names and days left of the listener's certificate and of callers' authority are told")
    func checked() async throws {
      try await withCertificates("sign server ca") { tenant, files in
        let (status, findings) = try await check(tenant.environment.merging(files.environment) { $1 })
        let certificates = findings.filter { $0["check"] as? String == "certificate" }
        #expect(status == 0 && certificates.map { $0["target"] as? String } == ["listener", "client_ca"])
        #expect(certificates.map { $0["status"] as? String } == ["ok", "ok"])
        #expect(certificates.map { $0["certificate_days_left"] as? Int } == [1, 1])
        #expect(certificates.map { $0["certificate_names"] as? [String] } == [["127.0.0.1"], ["CN=ca"]])
      }
    }

    @Test("An expired certificate of the listener fails the check, and is told of until it is replaced")
    func expired() async throws {
      try await withCertificates("sign server ca IP:127.0.0.1 -1; sign renewed ca") { tenant, files in
        let environment = tenant.environment.merging(files.environment) { $1 }
        let (exit, findings) = try await check(environment)
        let failed = findings.filter { $0["status"] as? String == "failed" }
        #expect(exit == 1 && failed.map { $0["target"] as? String } == ["listener"])

        let broker = try await BrokerProcess(environment: environment)
        try await broker.child.wait(forLog: "\"message\":\"a certificate has expired\"")
        try await broker.child.wait(forLog: "\"message\":\"certificate in use\"")
        let line = try #require(broker.child.errors.split(separator: "\n").first { $0.contains("has expired") })
        #expect(line.contains("\"use\":\"listener\"") && line.contains("\"names\":\"127.0.0.1\""))
        var report = try await status(broker)
        #expect(titles(report) == ["The certificate for callers who connect by https has expired"])
        #expect((report["certificates"] as? [[String: Any]])?.first?["days_left"] as? Int == -2)
        let name = "token_broker_certificate_expiry_timestamp_seconds{use=\"listener\"}"
        #expect(try await broker.metrics()[name] ?? .infinity < Date().timeIntervalSince1970)

        for kind in ["key", "crt"] {
          let renewed = try String(contentsOfFile: files.directory + "renewed." + kind, encoding: .utf8)
          _ = try tenant.file("shown." + kind, renewed)
        }
        try await broker.child.wait(forLog: BrokerProcess.reloaded)
        report = try await status(broker)
        #expect(titles(report).isEmpty)
        #expect(try await broker.metrics()[name] ?? 0 > Date().timeIntervalSince1970 + 86_400)
        try await broker.end()
      }
    }

    @Test("Whether the configuration could be read again, and when, is a metric, a row and a problem")
    func reload() async throws {
      try await withBroker(configuration: "cache: {minRemaining: 20s}\n") { tenant, broker in
        func figures() async throws -> (isGood: Double?, at: Double) {
          let metrics = try await broker.metrics()
          return (
            metrics["token_broker_config_last_reload_successful"],
            metrics["token_broker_config_last_reload_timestamp_seconds"] ?? 0
          )
        }
        #expect(try await figures().isGood == 1)
        #expect(abs(try await figures().at - Date().timeIntervalSince1970) < 60)
        _ = try tenant.file("broker.yaml", "cache: {minRemainin: 20s}\n")
        try await broker.child.wait(forLog: "the configuration stays as it was")
        try await eventually("the metric") { try await figures().isGood == 0 }
        var report = try await status(broker)
        let configuration = report["configuration"] as? [String: Any]
        #expect(configuration?["last_reload_ok"] as? Bool == false)
        #expect((configuration?["error"] as? String)?.contains("did you mean 'minRemaining'") == true)
        #expect(titles(report) == ["The configuration was changed and cannot be used"])
        _ = try tenant.file("broker.yaml", "cache: {minRemaining: 21s}\n")
        try await broker.child.wait(forLog: BrokerProcess.reloaded)
        try await eventually("the metric") { try await figures().isGood == 1 }
        report = try await status(broker)
        #expect(titles(report).isEmpty)
      }
    }

    @Test("Keys of callers' issuer that cannot be read are told of by check, and before any caller comes")
    func issuerKeys() async throws {
      let configuration = """
        callers: {batch: {serviceAccount: [jobs/batch], audiences: ['*']}}
        kubernetes: {issuer: 'https://kubernetes.default.svc', jwksURL: 'http://127.0.0.1:1/openid/v1/jwks'}

        """
      try await withBroker(configuration: configuration) { tenant, broker in
        try await broker.child.wait(forLog: "\"message\":\"the keys of an issuer cannot be read\"")
        let report = try await status(broker)
        #expect(titles(report) == ["The keys that callers' tokens are signed with cannot be read"])
        let keys = (report["key_sets"] as? [[String: Any]])?.first
        #expect(keys?["issuer"] as? String == "https://kubernetes.default.svc" && keys?["read_at"] == nil)
        #expect((keys?["error"] as? String)?.contains("no connection was made") == true, "\(report)")
        let name = "token_broker_key_set_up{issuer=\"https://kubernetes.default.svc\"}"
        #expect(try await broker.metrics()[name] == 0)

        let environment = tenant.environment.merging(["BROKER_CONFIG": tenant.directory.path + "/broker.yaml"]) { $1 }
        let (exit, findings) = try await check(environment)
        let warnings = findings.filter { $0["status"] as? String == "warning" }
        #expect(exit == 0 && warnings.map { $0["target"] as? String } == ["https://kubernetes.default.svc"])
        #expect(warnings.allSatisfy { ($0["remedy"] as? String)?.contains("kubernetes.jwksURL") == true })
      }
    }

    @Test(
      "What a store refuses is told before anybody asks for a token, by all that tells of it, and so is its end",
      arguments: [("-eval", ["claim", "save"]), ("-get", ["claim", "save"]), ("-publish", ["listen"])])
    func refusingStore(_ right: String, _ operations: [String]) async throws {
      let redis = try await RedisServer()
      try await redis.ask("ACL", "SETUSER", RedisServer.user, right)
      try await withBroker(["BROKER_STORE": redis.url]) { tenant, broker in
        func states() async throws -> Set<String> {
          let metrics = try await broker.metrics()
          #expect(metrics["token_broker_store_up"] == 1)
          return Set(
            ["load", "claim", "save", "remove", "listen"].filter {
              metrics["token_broker_store_condition{operation=\"\($0)\"}"] == 0
            })
        }
        for operation in operations {
          let message = "\"message\":\"the store refuses an operation\""
          try await broker.child.wait(forLog: "\(message),\"operation\":\"\(operation)\"")
        }
        #expect(try await states() == Set(operations))
        let names = operations.joined(separator: ", ")
        #expect(titles(try await status(broker)).contains { $0.hasSuffix(" refuses to \(names)") })
        #expect(try await broker.token(API.path).status == 200)

        let environment = tenant.environment.merging(["BROKER_STORE": redis.url]) { $1 }
        let (_, findings) = try await check(environment)
        let store = findings.first { $0["check"] as? String == "store" }
        #expect(store?["status"] as? String == "warning")
        #expect((store?["message"] as? String)?.hasPrefix("it refuses \(names): ") == true, "\(findings)")

        try await redis.ask(["ACL", "SETUSER", RedisServer.user] + RedisServer.rules())
        try await eventually("recovered") { try await states().isEmpty }
        #expect(titles(try await status(broker)).isEmpty)
      }
    }
  }
}
