import Basics
import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// Who is given which token, and what is refused.
  @Suite struct AccessTests {
    private static let api = "https%3A%2F%2Fapi.example.com%2F"

    private func withCallers(
      _ more: String = "", _ body: (Tenant, BrokerProcess, TestCallers) async throws -> Void
    ) async throws {
      let callers = TestCallers()
      try await withTenant { tenant in
        let broker = try await BrokerProcess(environment: tenant.environment.merging(callers.file(tenant, more)) { $1 })
        try await body(tenant, broker, callers)
        broker.child.signal(SIGTERM)
        try await broker.child.end()
        #expect(!broker.child.errors.contains(callers.billing) && !broker.child.errors.contains("eyJ"))
      }
    }

    @Test(
      "Nobody gets a token without a proof, nor one that the policy does not give; neither costs a request upstream")
    func policy() async throws {
      try await withCallers { tenant, broker, callers in
        let (billing, reports) = (
          "Authorization: Bearer \(callers.billing)", "Authorization: bearer \(callers.reports)"
        )
        let refused: [(path: String, header: String, status: Int, error: String)] = [
          (Self.api, "X: y", 401, "invalid_caller"),
          (Self.api, "Authorization: Bearer", 401, "invalid_caller"),
          (Self.api, "Authorization: Bearer wrong", 401, "invalid_caller"),
          (Self.api, "Authorization: Bearer \(callers.billing)x", 401, "invalid_caller"),
          (Self.api, "Authorization: Bearer \(callers.billing.lowercased())", 401, "invalid_caller"),
          (Self.api, "Authorization: Basic \(callers.billing)", 401, "invalid_caller"),
          ("https://api.example.com", billing, 403, "caller_not_allowed"),
          ("https://API.example.com/", billing, 403, "caller_not_allowed"),
          ("https://ledger.example.com.evil.example/", billing, 403, "caller_not_allowed"),
          ("https://ledger.example.com%252F", billing, 403, "caller_not_allowed"),
          ("https://no-such-api.example/", billing, 403, "caller_not_allowed"),
          ("\(Self.api)?scope=write:a", reports, 403, "caller_not_allowed"),
          (Fault.rateLimited.audience, billing, 403, "caller_not_allowed"),
        ]
        for (path, header, status, error) in refused {
          let answer = try await broker.token(path, "-H", header)
          #expect(answer.status == status && answer.error == error, "\(path) \(header.prefix(22)) \(answer.body)")
          #expect((answer.field("www-authenticate")?.hasPrefix("Bearer") ?? false) == (status == 401))
        }
        let twice = try await broker.token(Self.api, "-H", billing, "-H", "Authorization: Bearer x")
        #expect(twice.status == 400)
        #expect(tenant.tenant.statistics.tokenRequests == 0)
        try await broker.wait(forLog: "\"denied\"", times: refused.count)

        #expect(try await broker.token(Self.api, "-H", billing).json["scope"] as? String == "read:a write:a")
        #expect(try await broker.token(Self.api, "-H", reports).json["scope"] as? String == "read:a")
        #expect(try await broker.token("https:%2F%2Fledger.example.com/", "-H", billing).status == 200)
        try await broker.wait(forLog: "\"token given\"", times: 3)
        for path in ["healthz", "readyz"] { #expect(try await Answer.curl(["\(broker.url)/\(path)"]).status == 200) }
      }
    }

    @Test("What a caller may not have is refused in the same words, whether or not it is served")
    func sameWords() async throws {
      let payroll = "https://payroll.example.com/"
      try await withCallers("audiences: ['https://api.example.com/', '\(payroll)']\n") { tenant, broker, callers in
        var answers: [String] = []
        for audience in [payroll, "https://payrol1.example.com/"] {
          let answer = try await broker.token(audience, "-H", "Authorization: Bearer \(callers.billing)")
          #expect(answer.status == 403)
          let own = try #require(answer.json["request_id"] as? String)
          answers.append(answer.body.replacing(audience, with: "A").replacing(own, with: "R"))
        }
        #expect(answers[0] == answers[1])
        #expect(tenant.tenant.statistics.tokenRequests == 0)
      }
    }

    @Test("The command token shows its caller's key, which it finds in the environment")
    func command() async throws {
      try await withCallers { _, broker, callers in
        for (key, status) in [(callers.billing, Int32(0)), ("wrong", 1), ("", 1)] {
          let result = try await ChildProcess.run(
            BrokerProcess.executable, ["token", "https://api.example.com/", "--url", broker.url],
            environment: ["BROKER_CALLER_KEY": key])
          #expect(result.status == status && result.output.hasPrefix("eyJ") == (status == 0), "\(result)")
        }
      }
    }

    @Test("Scopes, organizations and callers never mix, on one connection and across connections")
    func interleaved() async throws {
      try await withCallers { _, broker, callers in
        struct Case {
          let path: String
          let key: String
          let expected: String
        }
        let cases = [
          Case(path: Self.api, key: callers.billing, expected: "\"scope\":\"read:a write:a\""),
          Case(path: Self.api, key: callers.reports, expected: "\"scope\":\"read:a\"}"),
          Case(path: Self.api + "?scope=write:a", key: callers.billing, expected: "\"scope\":\"write:a\"}"),
          Case(path: Self.api + "?scope=write:a", key: callers.reports, expected: "caller_not_allowed"),
          Case(path: "https:%2F%2Fledger.example.com/", key: callers.billing, expected: "\"access_token\""),
          Case(path: "https://api.example.com", key: callers.billing, expected: "caller_not_allowed"),
          Case(path: Self.api, key: "wrong", expected: "invalid_caller"),
          Case(path: Self.api + "?organization=org_a", key: callers.billing, expected: "\"org_id\":\"org_a\""),
          Case(path: Self.api + "?organization=org_b", key: callers.billing, expected: "\"org_id\":\"org_b\""),
        ]
        let clients = try (0..<8).map { _ in try RawClient(port: broker.port, timeout: 30) }
        for round in 0..<30 {
          // Each connection has several requests on the way at once, and the connections have different ones.
          for (number, client) in clients.enumerated() {
            for offset in 0..<3 {
              let test = cases[(round + number + offset) % cases.count]
              try client.send(
                "GET /token/\(test.path) HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(test.key)\r\n\r\n")
            }
          }
          for (number, client) in clients.enumerated() {
            for offset in 0..<3 {
              let test = cases[(round + number + offset) % cases.count]
              let body = try await client.readResponse().body
              #expect(Self.revealed(body).contains(test.expected), "\(test.path): \(Self.revealed(body))")
            }
          }
        }
      }
    }

    /// The answer, with what its token says of the organization.
    private static func revealed(_ body: String) -> String {
      guard let payload = body.firstMatch(of: /"access_token":"[^.]+\.([^.]+)\./)?.1 else { return body }
      let standard = String(payload).replacing("-", with: "+").replacing("_", with: "/")
      let padded = standard + String(repeating: "=", count: (4 - standard.count % 4) % 4)
      return body + (Data(base64Encoded: padded).map { String(decoding: $0, as: UTF8.self) } ?? "")
    }

    @Test("Where an API is named by its scopes, a caller gets those of its audiences and no others")
    func scopesAsAudiences() async throws {
      let callers = TestCallers()
      let more = { (tenant: Tenant) in
        """
        clients:
          other: {provider: oauth2, issuer: '\(tenant.tenant.baseURL)/', clientId: x, clientSecret: y, \
        audienceParameter: none, caFile: '\(tenant.environment["AUTH0_CA_FILE"] ?? "")'}
        audiences: [{audience: 'https://api.example.com/', client: other, scope: 'orders.read orders.write'}]

        """
      }
      try await withTenant { tenant in
        let file = try callers.file(tenant, more(tenant))
        let broker = try await BrokerProcess(environment: tenant.environment.merging(file) { $1 })
        let proof = "Authorization: Bearer \(callers.billing)"
        for (query, isAllowed) in [
          ("", true), ("?scope=orders.read", true), ("?scope=payroll.read", false),
          ("?scope=orders.read%20payroll.read", false),
        ] {
          let answer = try await broker.token(Self.api + query, "-H", proof)
          #expect((answer.error != "caller_not_allowed") == isAllowed, "\(query): \(answer.body)")
        }
      }
    }

    @Test("A Kubernetes service account is known by a token that its cluster has signed for the broker")
    func serviceAccounts() async throws {
      try await withTenant { tenant in
        let keys = try tenant.file("jwks.json", "")
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
          .appendingPathComponent("Clients/service_account.py")
        let made = try await ChildProcess.run("/usr/bin/python3", [script.path, keys])
        let tokens = try JSONDecoder().decode([String: String].self, from: Data(made.output.utf8))
        let file = try tenant.file(
          "broker.yaml",
          """
          callers: {batch: {serviceAccount: [jobs/batch], audiences: ["https://api.example.com/"]}}
          kubernetes: {issuer: "https://kubernetes.example", jwksFile: \(keys)}

          """)
        let broker = try await BrokerProcess(environment: tenant.environment.merging(["BROKER_CONFIG": file]) { $1 })
        #expect(tokens.count == 8)
        for (name, token) in tokens {
          // The second time it is known without a check.
          for _ in 0..<2 {
            let answer = try await broker.token(Self.api, "-H", "Authorization: Bearer \(token)")
            #expect(answer.status == (name == "good" ? 200 : 401), "\(name): \(answer.body)")
          }
        }
        let other = try await broker.token("https://other/", "-H", "Authorization: Bearer \(tokens["good"] ?? "")")
        #expect(other.status == 403)
        #expect(tenant.tenant.statistics.tokenRequests == 1)
      }
    }

    @Test("On a Unix socket a caller is known by its user")
    func unixUser() async throws {
      try await withTenant { tenant in
        let socket = try tenant.file("broker.sock", "")
        try FileManager.default.removeItem(atPath: socket)
        for (user, status) in [(getuid(), "200"), (getuid() + 1, "401")] {
          let callers = "callers: {agent: {unixUser: ['\(user)'], audiences: ['*']}}\n"
          let environment = [
            "BROKER_CONFIG": try tenant.file("broker.yaml", callers), "BROKER_LISTEN": "127.0.0.1:0,unix:\(socket)",
          ]
          let broker = try await BrokerProcess(environment: tenant.environment.merging(environment) { $1 })
          let path = "http://broker/token/\(Self.api)"
          let answer = try await Answer.curl(["--unix-socket", socket, path])
          #expect("\(answer.status)" == status)
          #expect(try await broker.token(Self.api).status == 401)
          broker.child.signal(SIGTERM)
          try await broker.child.end()
          #expect(!FileManager.default.fileExists(atPath: socket))
        }
      }
    }

    @Test("A caller beyond its limit is told so, and others are not")
    func limit() async throws {
      let limited = TestCallers()
      let text = limited.text.replacing("scopes: [\"read:a\"]", with: "requestsPerMinute: 3")
      try await withTenant { tenant in
        let file = ["BROKER_CONFIG": try tenant.file("limited.yaml", text)]
        let broker = try await BrokerProcess(environment: tenant.environment.merging(file) { $1 })
        for status in [200, 200, 200, 503] {
          let answer = try await broker.token(Self.api, "-H", "Authorization: Bearer \(limited.reports)")
          #expect(answer.status == status)
          if status == 503 {
            #expect(answer.error == "overloaded" && (Int(answer.field("retry-after") ?? "") ?? 0) > 0)
          }
        }
        #expect(try await broker.token(Self.api, "-H", "Authorization: Bearer \(limited.billing)").status == 200)
      }
    }

    @Test("What browsers and forged requests look like is refused, but not where a proxy asks for its client")
    func guards() async throws {
      let more = "allowedHosts: [broker.internal, '127.0.0.1:1']\nrequireHeader: 'X-Token-Broker: true'\n"
      try await withCallers(more) { tenant, broker, callers in
        let good = [
          "-H", "Host: broker.internal", "-H", "X-Token-Broker: true", "-H", "Authorization: Bearer \(callers.billing)",
        ]
        func ask(_ path: String, _ headers: [String]) async throws -> Answer {
          try await Answer.curl(["\(broker.url)/\(path)/\(Self.api)"] + headers)
        }
        let cases: [(headers: [String], token: Int, forward: Int)] = [
          ([], 200, 200), (["-H", "Host: BROKER.internal"], 200, 200), (["-H", "Sec-Fetch-Site: none"], 200, 200),
          (["-H", "Origin: https://evil.example"], 403, 200), (["-H", "Origin: null"], 403, 200),
          (["-H", "Sec-Fetch-Site: cross-site"], 403, 200), (["-H", "Sec-Fetch-Site: same-site"], 403, 200),
          (["-H", "X-Forwarded-For: 10.0.0.1"], 403, 200), (["-H", "Host: evil.example"], 403, 403),
          (["-H", "Host: broker.internal.evil.example"], 403, 403), (["-H", "X-Token-Broker: false"], 403, 403),
          (["-H", "X-Token-Broker;"], 403, 403),
        ]
        for (headers, token, forward) in cases {
          // Of two fields of a name, curl sends the last.
          let names = Set(headers.map { $0.prefix { $0 != ":" && $0 != ";" }.lowercased() }).subtracting(["-h"])
          let kept = stride(from: 0, to: good.count, by: 2).filter { index in
            !names.contains(good[index + 1].prefix { $0 != ":" }.lowercased())
          }.flatMap { [good[$0], good[$0 + 1]] }
          let answers = try await (ask("token", kept + headers), ask("forward-auth", kept + headers))
          #expect(answers.0.status == token && answers.1.status == forward, "\(headers)")
        }
      }
    }

    @Test("forward-auth takes any method and body, gives the token in a field, and heeds nothing else of the request")
    func forwardAuth() async throws {
      try await withCallers { tenant, broker, callers in
        let proof = "Authorization: Bearer \(callers.billing)"
        let token = try #require(try await broker.token(Self.api, "-H", proof).token)
        for arguments in [
          ["-X", "GET"], ["-X", "PURGE"], ["-X", "OPTIONS"], ["--head"], ["-d", "grant_type=x"],
          ["-H", "Transfer-Encoding: chunked", "-d", "@/etc/hostname"], ["-H", "Accept: image/png"],
          ["-H", "Cache-Control: no-cache", "-H", "X-Rejected-Token: nonsense"],
        ] {
          let answer = try await Answer.curl(["\(broker.url)/forward-auth/\(Self.api)", "-H", proof] + arguments)
          #expect(answer.status == 200 && answer.body.isEmpty, "\(arguments)")
          #expect(answer.field("authorization") == "Bearer \(token)")
          #expect(answer.field("cache-control") == "no-store")
        }
        func ask(_ query: String) async throws -> Answer {
          try await Answer.curl(["\(broker.url)/forward-auth/\(Self.api)?\(query)", "-H", proof])
        }
        // What stands behind `uri` is the client's own, and is not heeded.
        #expect(try await ask("uri=/orders?a=b&scope=write:a").field("authorization") == "Bearer \(token)")
        #expect(try await ask("scope=write:a&uri=/").field("authorization") != "Bearer \(token)")
        #expect(try await ask("other=1").status == 400)
        let other = try await Answer.curl(["\(broker.url)/forward-auth/https://other.example/", "-H", proof])
        #expect(other.status == 403 && other.field("authorization") == nil)
        #expect(tenant.tenant.statistics.mints == 2)
      }
    }
  }
}
