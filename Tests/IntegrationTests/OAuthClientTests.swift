import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// `POST /oauth/token`, as OAuth clients use it that nobody here wrote.
  @Suite struct OAuthClientTests {
    private static let clients = Repository.path("Tests/IntegrationTests/Clients")

    /// A command that takes token URL, client id, secret, where to put them, and audience.
    private static func command(_ client: String) -> [String] {
      client.hasSuffix(".go")
        ? ["go", "run", "\(clients)/\(client)"]
        : ["/usr/bin/python3", "\(clients)/\(client)"]
    }

    @Test(
      "Existing OAuth clients get tokens with only their token URL changed",
      arguments: ["client.go", "authlib_client.py", "requests_oauthlib_client.py"])
    func clients(_ client: String) async throws {
      let go = [
        "GO111MODULE": "off", "GOPATH": "/usr/share/gocode",
        "GOCACHE": FileManager.default.temporaryDirectory.appendingPathComponent("go-cache").path,
      ]
      for callers in [nil, TestCallers()] {
        try await withTenant { tenant in
          let broker = try await tenant.broker(configuration: callers?.text)
          let token = try await broker.token(
            "https%3A%2F%2Fapi.example.com%2F", "-H", "Authorization: Bearer \(callers?.billing ?? "")"
          ).token
          for style in ["header", "params"] {
            let command = Self.command(client)
            let arguments = ["\(broker.url)/oauth/token", "billing", callers?.billing ?? "any", style, API.audience]
            let result = try await ChildProcess.run(
              command[0], Array(command.dropFirst()) + arguments, environment: go, timeout: .seconds(120))
            #expect(result.status == 0 && result.output == (token ?? "") + "\n", "\(style): \(result.errors)")
            if callers == nil { continue }
            let wrong = try await ChildProcess.run(
              command[0],
              Array(command.dropFirst()) + ["\(broker.url)/oauth/token", "billing", "wrong", style, API.audience],
              environment: go, timeout: .seconds(120))
            #expect(wrong.status != 0 && wrong.errors.contains("invalid_client"), "\(wrong.errors)")
          }
          #expect(tenant.tenant.statistics.mints == 1)
        }
      }
    }

    private static let challenges = ["Basic realm=\"token-broker\"", "Bearer realm=\"token-broker\""]

    @Test("Every way to send a request gets the same token, and a refusal the error of RFC 6749, section 5.2")
    func curl() async throws {
      let callers = TestCallers()
      try await withTenant { tenant in
        let broker = try await tenant.broker(configuration: callers.text)
        func ask(_ arguments: String...) async throws -> Answer {
          try await Answer.curl(["\(broker.url)/oauth/token"] + arguments)
        }
        let (grant, audience) = ("grant_type=client_credentials", "audience=\(API.audience)")
        let basic = "billing:\(callers.billing)"
        let json = { (members: String) in
          #"""
          {"grant_type":"client_credentials","client_id":"billing","client_secret":"\#(callers.billing)",\#(members)}
          """#
        }
        let good = try await ask("-u", basic, "-d", grant, "-d", audience)
        #expect(good.status == 200 && good.token?.hasPrefix("eyJ") == true)
        #expect(good.field("cache-control") == "no-store" && good.field("pragma") == "no-cache")
        #expect(good.json["token_type"] as? String == "Bearer" && (good.json["expires_in"] as? Int ?? 0) > 0)
        for same in [
          try await ask("-u", basic, "-d", grant, "-d", "resource=\(API.audience)"),
          try await ask("-u", basic, "-d", grant, "-d", audience, "-d", "resource=\(API.audience)"),
          try await ask("-u", basic, "-d", grant),
          try await ask("--anyauth", "-u", basic, "-d", grant, "-d", audience),
          try await ask(
            "-d", grant, "-d", audience, "-d", "client_id=billing", "-d", "client_secret=\(callers.billing)"),
          try await ask(
            "-H", "Content-Type: application/json; charset=utf-8", "-d", json(#""audience":"\#(API.audience)""#)),
          try await ask("-H", callers.billingProof, "-d", grant, "-d", audience),
        ] { #expect(same.token == good.token, "\(same.body)") }

        let refusals: [(status: Int, error: String, Answer)] = [
          (401, "invalid_client", try await ask("-d", grant, "-d", audience)),
          (401, "invalid_client", try await ask("-d", grant, "-d", audience, "-d", "client_assertion=x")),
          (401, "invalid_client", try await ask("-u", "billing:wrong", "-d", grant, "-d", audience)),
          (401, "invalid_client", try await ask("-u", "reports:\(callers.billing)", "-d", grant, "-d", audience)),
          (400, "invalid_request", try await ask("-u", basic, "-d", audience)),
          (400, "unsupported_grant_type", try await ask("-u", basic, "-d", "grant_type=password", "-d", audience)),
          (400, "invalid_request", try await ask("-H", callers.reportsProof, "-d", grant)),
          (400, "invalid_request", try await ask("-u", basic, "-d", grant, "-d", audience, "-d", "unknown=1")),
          (400, "invalid_request", try await ask("-u", basic, "-d", grant, "-d", audience, "-d", audience)),
          (
            400, "invalid_request", try await ask("-u", basic, "-d", grant, "-d", audience, "-d", "resource=https://x/")
          ),
          (400, "invalid_scope", try await ask("-u", basic, "-d", grant, "-d", audience, "-d", "scope=%22")),
          (400, "invalid_request", try await ask("-u", basic, "-d", grant, "-d", audience, "-d", "client_secret=x")),
          (
            400, "invalid_request",
            try await ask("-u", basic, "-d", grant, "-d", audience, "-d", "organization=a%0D%0Ab")
          ),
          (400, "invalid_request", try await ask("-H", "Content-Type: text/plain", "-u", basic, "-d", grant)),
          (400, "invalid_request", try await ask("-H", "Content-Type: application/json", "-d", "[1]")),
          (400, "invalid_request", try await ask("-H", "Content-Type: application/json", "-d", json(#""audience":7"#))),
          (
            400, "invalid_request",
            try await ask("-H", "Content-Type: application/json", "-d", json(#""audience":"a","audience":"b""#))
          ),
          (
            400, "unauthorized_client",
            try await ask("-u", basic, "-d", grant, "-d", "audience=https://other.example.com/")
          ),
          (400, "invalid_request", try await ask("-H", "Authorization: Basic !!!", "-d", grant, "-d", audience)),
        ]
        for (index, refusal) in refusals.enumerated() {
          #expect(refusal.2.status == refusal.status && refusal.2.error == refusal.error, "\(index): \(refusal.2.body)")
          #expect(
            refusal.2.field("content-type") == "application/json" && refusal.2.field("cache-control") == "no-store")
        }
        for refusal in refusals.prefix(4) { #expect(refusal.2.challenges == Self.challenges) }
        #expect(try await ask("-X", "GET").status == 405)
        #expect(tenant.tenant.statistics.tokenRequests == 1)
      }
    }

    @Test("A client that names no audience gets that of its token URL, or the one that it is meant to have")
    func defaultAudience() async throws {
      let keys = (one: "tb_one", two: "tb_two", given: "tb_given")
      let configuration = """
        callers:
          one: {bearerSHA256: [\(TestCallers.digest(keys.one))], audiences: ["\(API.audience)"]}
          two: {bearerSHA256: [\(TestCallers.digest(keys.two))], audiences: ["\(API.audience)", "https://b/"]}
          given:
            bearerSHA256: [\(TestCallers.digest(keys.given))]
            audiences: ["*"]
            defaultAudience: \(API.audience)

        """
      try await withBroker(configuration: configuration) { tenant, broker in
        func ask(_ name: String, _ key: String, _ target: String = "", _ more: String...) async throws -> Answer {
          let fixed = [
            "\(broker.url)/oauth/token\(target)", "-u", "\(name):\(key)", "-d", "grant_type=client_credentials",
          ]
          return try await Answer.curl(fixed + more)
        }
        let token = try #require(try await ask("one", keys.one).token)
        for same in [
          try await ask("given", keys.given), try await ask("two", keys.two, "/\(API.path)"),
          try await ask("two", keys.two, "/\(API.audience)"), try await ask("two", keys.two, "?audience=\(API.path)"),
          try await ask("two", keys.two, "?resource=\(API.path)", "-d", "audience=\(API.audience)"),
        ] { #expect(same.token == token, "\(same.body)") }
        for refused in [
          try await ask("two", keys.two),
          try await ask("two", keys.two, "/https://b/", "-d", "audience=\(API.audience)"),
          try await ask("two", keys.two, "/\(API.path)?audience=https://b/"),
          try await ask("one", keys.one, "?client_secret=x"), try await ask("one", keys.one, "?audience="),
        ] { #expect(refused.status == 400 && refused.error == "invalid_request", "\(refused.body)") }
        let other = try await ask("one", keys.one, "/https://b/")
        #expect(other.status == 400 && other.error == "unauthorized_client")
        #expect(tenant.tenant.statistics.tokenRequests == 1)
      }
    }

    @Test("A pair by Basic is a caller's, whether its client has form-encoded it or not")
    func rawBasic() async throws {
      let key = "k+%/=ü: x"
      let configuration =
        "callers: {team+a: {bearerSHA256: [\(TestCallers.digest(key))], audiences: ['\(API.audience)']}}\n"
      try await withBroker(configuration: configuration) { _, broker in
        let encoded = "k%2B%25%2F%3D%C3%BC%3A+x"
        for pair in ["team+a:\(key)", "team%2Ba:\(encoded)"] {
          let posted = try await Answer.curl([
            "\(broker.url)/oauth/token", "-u", pair, "-d", "grant_type=client_credentials",
          ])
          let got = try await broker.token(API.path, "-u", pair)
          #expect(posted.status == 200 && got.status == 200, "\(pair)")
        }
        // Half of it encoded is neither.
        #expect(try await broker.token(API.path, "-u", "team%2Ba:\(key)").status == 401)
      }
    }
  }
}
