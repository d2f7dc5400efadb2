import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// What a tenant says when it refuses: operators are told, callers are not, and nobody is told a secret.
  @Suite struct EvidenceTests {
    private static let secret = "s3cr3t+of/the=client"
    private static let token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"

    /// A tenant that refuses with all that it was sent, and a configuration for it.
    private func withTenant(
      _ body: (_ configuration: [String: String]) async throws -> Void
    ) async throws {
      try await withPeer { connection in
        while let request = connection.request() {
          let sent = request.components(separatedBy: "\r\n\r\n").last ?? ""
          let words = "AADSTS7000222: the keys of 'app' are expired, in \(sent) with \(Self.secret) and \(Self.token)"
          connection.answer(
            "401 Unauthorized", "Content-Type: application/json\r\n",
            body: #"{"error":"invalid_client","error_description":"\#(words)"}"#)
        }
      } _: { peer in
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("token-broker-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        let text = """
          clients:
            entra:
              {provider: oauth2, tokenURL: '\(peer.url)/token', clientId: app, clientSecret: '\(Self.secret)'}
          audiences: [{audience: '\(API.audience)', verify: opaque}]

          """
        try Data(text.utf8).write(to: file)
        try await body(["BROKER_CONFIG": file.path])
      }
    }

    /// What is never shown to anybody.
    private static let secrets = [secret, "s3cr3t%2Bof%2Fthe%3Dclient", "eyJ"]

    @Test("The tenant's own words are in the log and in the status, without secrets, and never with a caller")
    func words() async throws {
      try await withTenant { environment in
        let broker = try await BrokerProcess(environment: environment)
        var answers = [
          try await broker.token(API.path), try await broker.token(API.path, "-H", "Accept: text/plain"),
          try await Answer.curl(["\(broker.url)/forward-auth/\(API.path)"]),
          try await Answer.curl([
            "\(broker.url)/oauth/token", "-d", "grant_type=client_credentials", "--data-urlencode",
            "audience=\(API.audience)",
          ]),
        ]
        #expect(answers.allSatisfy { (500...503).contains($0.status) })
        for place in ["/readyz", "/healthz"] {
          answers += [try await Answer.curl([broker.url + place]), try await Answer.curl([broker.adminURL + place])]
        }
        for answer in answers {
          let said = answer.head + answer.body
          #expect(!said.contains("AADSTS") && !said.contains("expired") && !said.contains("invalid_client"), "\(said)")
        }

        try await broker.child.wait(forLog: "\"message\":\"no token\"")
        let line = try #require(broker.child.errors.split(separator: "\n").first { $0.contains("no token") })
        let fields = try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(fields["upstream_error"] as? String == "invalid_client")
        let description = try #require(fields["upstream_error_description"] as? String)
        #expect(description.hasPrefix("AADSTS7000222: the keys of 'app' are expired") && description.count <= 300)
        #expect(description.contains("client_secret=[redacted]") && description.hasSuffix("[redacted] and [redacted]"))

        let status = try await Answer.curl([broker.adminURL + "/status.json"])
        let failure = (status.json["clients"] as? [[String: Any]])?.first?["last_failure"] as? [String: Any]
        #expect((failure?["evidence"] as? [String: String])?["upstream_error_description"] == description)
        #expect((failure?["remedy"] as? String)?.contains("has expired in Entra ID") == true)
        let problem = (status.json["problems"] as? [[String: Any]])?.first
        #expect((problem?["evidence"] as? [String: String])?["upstream_error"] == "invalid_client")
        #expect((problem?["remedy"] as? String)?.contains("has expired in Entra ID") == true)
        try await broker.end()
        for said in [broker.child.errors + broker.child.output, status.body] {
          for secret in Self.secrets { #expect(!said.contains(secret)) }
        }
      }
    }

    @Test("check says the tenant's own words, and a remedy for them, without secrets", arguments: [[], ["--json"]])
    func check(_ arguments: [String]) async throws {
      try await withTenant { environment in
        let result = try await ChildProcess.run(
          BrokerProcess.executable, ["check"] + arguments, environment: environment)
        #expect(result.status == 1)
        #expect(result.output.contains("the tenant said invalid_client: AADSTS7000222: the keys"), "\(result.output)")
        #expect(result.output.contains("has expired in Entra ID"))
        for secret in Self.secrets { #expect(!(result.output + result.errors).contains(secret)) }
      }
    }
  }
}
