import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// `token-broker dev`: the lines that it prints, run as they stand, and what its tenant grants.
  @Suite struct DevTests {
    /// Starts it with this configuration, and gives the lines that it prints. The directory has `server.crt` for
    /// `broker.internal` only.
    private func withDev(
      _ configuration: String?, _ environment: [String: String] = [:],
      _ body: (_ lines: [String], ChildProcess) async throws -> Void
    ) async throws {
      let directory = FileManager.default.temporaryDirectory.appendingPathComponent("dev-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: directory) }
      try await OpenSSL.run("authority ca; sign server ca DNS:broker.internal", in: directory.path)
      var environment = ["BROKER_ADMIN_LISTEN": "off"].merging(environment) { $1 }
      if let configuration {
        let file = directory.appendingPathComponent("broker.yaml")
        try configuration.replacing("DIRECTORY", with: directory.path).write(
          to: file, atomically: true, encoding: .utf8)
        environment["BROKER_CONFIG"] = file.path
      } else {
        environment["BROKER_LISTEN"] = "127.0.0.1:0"
      }
      let child = try ChildProcess(BrokerProcess.executable, ["dev"], environment: environment)
      try await child.wait(for: "command lines") { $0.output.contains(" curl ") && $0.errors.contains("\"serving\"") }
      try await body(child.output.split(separator: "\n").filter { $0.contains(" curl ") }.map(String.init), child)
      child.signal(SIGTERM)
      #expect(try await child.end() == 0)
    }

    /// Runs a line, and wants `text` in what it prints.
    private func expect(_ text: String, from line: String) async throws {
      let quiet = line.replacing("curl ", with: "curl --silent --show-error ")
      let result = try await ChildProcess.run("sh", ["-c", quiet])
      #expect(result.status == 0 && result.output.contains(text), "\(line): \(result)")
    }

    private static let listeners = """
      listen: ["127.0.0.1:0", "https://127.0.0.1:0", "unix:DIRECTORY/socket"]
      tls: {certificateFile: DIRECTORY/server.crt, keyFile: DIRECTORY/server.key}

      """
    private static let callers = """
      callers:
        billing:
          bearerSHA256: [676b04f57c603434bb7c482ee370d786f26a318b10251733309aaf091319196a]
          audiences: [https://orders.internal/]
        reports: {unixUser: ["1001"], audiences: ["https://stock.internal/*"], scopes: [read:stock]}

      """
    private static let configurations: [(text: String?, audiences: [String], hasFault: Bool)] = [
      (nil, ["https://api.example.com/"], true),
      (listeners, Array(repeating: "https://api.example.com/", count: 3), true),
      (
        listeners + "audiences: [{audience: https://orders.internal/, scope: read:orders}]\n",
        Array(repeating: "https://orders.internal/", count: 3), true
      ),
      (
        listeners + callers,
        Array(repeating: "https://orders.internal/", count: 3) + ["https://stock.internal/"], false
      ),
      (
        listeners + callers.replacing("https://orders.internal/", with: "'*'")
          + "requireHeader: 'X-Token-Broker: true'\nallowedHosts: [tokens.internal]\n",
        Array(repeating: "https://api.example.com/", count: 3) + ["https://stock.internal/"], true
      ),
    ]

    @Test("Each line printed gets a token as it stands, but the last where that shows a fault", arguments: 0..<5)
    func lines(_ index: Int) async throws {
      let (text, audiences, hasFault) = Self.configurations[index]
      try await withDev(text) { lines, _ in
        #expect(lines.count == audiences.count + (hasFault ? 1 : 0), "\(lines)")
        for (line, audience) in zip(lines, audiences) {
          try await expect("\"access_token\":\"eyJ", from: line)
          #expect(line.contains(audience.replacing(":", with: "%3A").replacing("/", with: "%2F")), "\(line)")
        }
        if hasFault { try await expect("\"upstream_rate_limited\"", from: lines[lines.count - 1]) }
      }
    }

    @Test("A fault's limit blocks no other audience, and any audience and scope is granted")
    func others() async throws {
      try await withDev(nil) { lines, _ in
        try await expect("\"upstream_rate_limited\"", from: lines[1])
        let other = lines[0].replacing("api.example.com", with: "never.asked.internal")
        try await expect("\"access_token\"", from: other)
        try await expect("\"scope\":\"a b\"", from: "\(other)?scope=a%20b")
      }
    }

    @Test("Audiences of the environment's list are granted, and no others are served but those of faults")
    func closed() async throws {
      try await withDev(nil, ["BROKER_AUDIENCES": "https://orders.internal/"]) { lines, _ in
        try await expect("\"access_token\"", from: lines[0])
        try await expect("\"unknown_audience\"", from: lines[0].replacing("orders", with: "stock"))
        let unsigned = lines[1].replacing("rate-limited", with: "alg-none")
        try await expect("\"token_validation_failed\"", from: unsigned)
      }
    }

    @Test("The example configuration serves each of its callers, though nothing that it names is there")
    func exampleConfiguration() async throws {
      let text = try Repository.text("deploy/token-broker.yaml")
      try await withDev(text, ["BROKER_LISTEN": "127.0.0.1:0"]) { lines, _ in
        #expect(lines.count == 4, "three callers, and a fault for the one that may have everything: \(lines)")
        for line in lines.dropLast() {
          try await expect("\"access_token\"", from: line)
        }
      }
    }

    @Test("A caller's key goes on being good when the configuration is read again")
    func reload() async throws {
      try await withDev(Self.listeners + Self.callers) { lines, child in
        child.signal(SIGHUP)
        try await child.wait(forLog: BrokerProcess.reloaded)
        try await expect("\"access_token\"", from: lines[0])
      }
    }
  }
}
