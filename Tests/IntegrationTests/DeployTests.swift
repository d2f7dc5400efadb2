import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// What deploy/ has, as far as that can be tried without a cluster; Tests/Deploy has what takes longer.
  @Suite struct DeployTests {
    @Test("The files of deploy agree with each other")
    func manifests() async throws {
      let result = try await ChildProcess.run("/usr/bin/python3", [Repository.path("Tests/Deploy/manifests.py")])
      #expect(result.status == 0, "\(result.output) \(result.errors)")
    }

    @Test(
      "check accepts the configurations of the Kubernetes manifests",
      arguments: [
        "base/token-broker.yaml", "components/sidecar/token-broker.yaml", "overlays/example/token-broker.yaml",
      ])
    func configuration(_ name: String) async throws {
      let text = try Repository.text("deploy/kubernetes/\(name)")
      try await withTenant { tenant in
        let token = try tenant.file("token", "token")
        let authorities = try #require(tenant.environment["AUTH0_CA_FILE"])
        try await OpenSSL.run("authority tls", in: tenant.directory.path)
        // What the pod has mounted, here as files of the test's own.
        let local = text.replacing("/run/secrets/token-broker-tls", with: tenant.directory.path)
          .replacing("/var/run/secrets/kubernetes.io/serviceaccount/token", with: token)
          .replacing("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt", with: authorities)
        let result = try await ChildProcess.run(
          BrokerProcess.executable, ["check", "--config", try tenant.file("token-broker.yaml", local)],
          environment: tenant.environment)
        #expect(
          result.status == 0 && result.output.contains("ok      token          https://api.example.com/"), "\(result)")
      }
    }

    @Test(
      "The image's health check is true for whatever a file listens on",
      arguments: ["127.0.0.1:MAIN", "https://127.0.0.1:MAIN", "unix:DIR/s"])
    func imageHealth(_ listen: String) async throws {
      let image = try Repository.text("Dockerfile")
      let settings = try #require(image.firstMatch(of: /\nENV (BROKER_.*)\n/)?.1).split(separator: " ")
      let check = try #require(image.firstMatch(of: /\nHEALTHCHECK .* CMD \["token-broker", "(\w+)"\]/)?.1)
      try await withTenant { tenant in
        let ports = try (0..<2).map { _ in try RawListener() }
        let (main, admin) = (ports[0].port, ports[1].port)
        for port in ports { port.close() }
        try await OpenSSL.run("authority x somebody", in: tenant.directory.path)
        // As docker run --env BROKER_LISTEN= … serve --config FILE; the health check knows nothing of the file.
        var environment = ["BROKER_LISTEN": ""]
        for setting in settings where !setting.hasPrefix("BROKER_LISTEN=") {
          let parts = setting.split(separator: "=")
          environment[String(parts[0])] = String(parts[1]).replacing("8081", with: "\(admin)")
        }
        let text =
          "listen: \(listen)\n"
          + (listen.hasPrefix("https") ? "tls: {certificateFile: DIR/x.crt, keyFile: DIR/x.key}\n" : "")
        let file = try tenant.file(
          "c.yaml", text.replacing("MAIN", with: "\(main)").replacing("DIR", with: tenant.directory.path))
        let child = try ChildProcess(
          BrokerProcess.executable, ["serve", "--config", file],
          environment: tenant.environment.merging(environment) { $1 })
        try await child.wait(forLog: "\"message\":\"serving\"")
        let health = try await ChildProcess.run(BrokerProcess.executable, [String(check)], environment: environment)
        #expect(health.status == 0, "\(health)")
        child.signal(SIGTERM)
        try await child.end()
      }
    }

    @Test("systemd understands the units, and finds the service little exposed")
    func units() async throws {
      try await withTenant { tenant in
        var files: [String] = []
        for name in ["token-broker.service", "token-broker.socket", "token-broker-admin.socket"] {
          let unit = try Repository.text("deploy/systemd/\(name)")
          files.append(
            try tenant.file(name, unit.replacing("/usr/local/bin/token-broker", with: BrokerProcess.executable)))
        }
        let verified = try await ChildProcess.run("systemd-analyze", ["verify", "--man=no"] + files)
        // A systemd before 253 or 260 says that it knows these not.
        let unknown = ["Type=", "service type", "RefreshOnReload"]
        let complaints = verified.errors.split(separator: "\n").filter { line in !unknown.contains(where: line.contains)
        }
        #expect(verified.status == 0 && complaints.isEmpty, "\(verified)")
        let exposed = try await ChildProcess.run(
          "systemd-analyze", ["security", "--offline=true", "--threshold=20", "--no-pager", files[0]])
        #expect(exposed.status == 0, "\(exposed.output.suffix(200))")
      }
    }

    @Test(
      "promtool sees the alerts go off when they should, and at no other time",
      .enabled(if: Programs.has("promtool"), "promtool is not here"))
    func alerts() async throws {
      let result = try await ChildProcess.run(
        "promtool", ["test", "rules", Repository.path("deploy/prometheus/alerts_test.yaml")])
      #expect(result.status == 0, "\(result.output) \(result.errors)")
    }

    @Test("Each metric of the alerts and the dashboard is one that the broker has")
    func metrics() async throws {
      let named =
        try Repository.text("deploy/prometheus/alerts.yaml") + Repository.text("deploy/grafana/dashboard.json")
      let wanted = Set(named.matches(of: /\b(token_broker|process)_[a-z_]+/).map { String($0.0) })
      #expect(wanted.count > 10)
      try await withTenant { tenant in
        // A store's figures are there where there is a store.
        let broker = try await tenant.broker(["BROKER_STORE": "file:\(tenant.directory.path)/tokens"])
        _ = try await broker.token("https://api.example.com/")
        let answer = try await Answer.curl([broker.adminURL + "/metrics"])
        // By their types, because some have no sample before there is something to say.
        var known: Set<String> = []
        for line in answer.body.split(separator: "\n") where line.hasPrefix("# TYPE ") {
          let name = String(line.split(separator: " ")[2])
          known.formUnion(line.hasSuffix(" histogram") ? [name + "_bucket", name] : [name])
        }
        #expect(wanted.subtracting(known).isEmpty, "of \(known)")
        try await broker.end()
      }
    }

    @Test("The broker answers as its OpenAPI description says, and gives all that is described")
    func openAPI() async throws {
      let result = try await ChildProcess.run(
        "/usr/bin/python3", [Repository.path("Tests/Deploy/openapi.py"), BrokerProcess.executable])
      #expect(result.status == 0, "\(result.output) \(result.errors)")
    }
  }
}
