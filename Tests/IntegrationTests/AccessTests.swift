import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// Who is given which token, and what is refused.
  @Suite struct AccessTests {
    private func withCallers(
      _ more: String = "", _ body: (Tenant, BrokerProcess, TestCallers) async throws -> Void
    ) async throws {
      let callers = TestCallers()
      try await withTenant { tenant in
        let broker = try await tenant.broker(configuration: callers.text + more)
        try await body(tenant, broker, callers)
        try await broker.end()
        #expect(!broker.child.errors.contains(callers.billing) && !broker.child.errors.contains("eyJ"))
      }
    }

    /// What is asked with which field, where keys of callers are named in brackets, and how it is refused.
    private struct Refusal {
      let path: String
      let field: String
      let status: Int
      let error: String

      func field(_ callers: TestCallers) -> String {
        field.replacing("<billing>", with: callers.billing).replacing("<reports>", with: callers.reports)
          .replacing("<billing, in lower case>", with: callers.billing.lowercased())
      }
    }

    private static let unproven = [
      "X: y", "Authorization: Bearer", "Authorization: Bearer wrong", "Authorization: Bearer <billing>x",
      "Authorization: Bearer <billing, in lower case>", "Authorization: Basic <billing>",
    ].map { Refusal(path: API.path, field: $0, status: 401, error: "invalid_caller") }

    private static let notAllowed = [
      ("https://api.example.com", "Bearer <billing>"), ("https://API.example.com/", "Bearer <billing>"),
      ("https://ledger.example.com.evil.example/", "Bearer <billing>"),
      ("https://ledger.example.com%252F", "Bearer <billing>"), ("https://no-such-api.example/", "Bearer <billing>"),
      ("\(API.path)?scope=write:a", "bearer <reports>"), (Fault.rateLimited.audience, "Bearer <billing>"),
    ].map { Refusal(path: $0, field: "Authorization: \($1)", status: 403, error: "caller_not_allowed") }

    @Test("Who proves nothing, or asks for what the policy does not give, is refused without a request upstream")
    func policy() async throws {
      try await withCallers { tenant, broker, callers in
        for refusal in Self.unproven + Self.notAllowed {
          let answer = try await broker.token(refusal.path, "-H", refusal.field(callers))
          #expect(answer.status == refusal.status && answer.error == refusal.error, "\(refusal): \(answer.body)")
          #expect((answer.field("www-authenticate")?.hasPrefix("Bearer") ?? false) == (refusal.status == 401))
        }
        #expect(tenant.tenant.statistics.tokenRequests == 0)
        try await broker.child.wait(forLog: "\"denied\"", times: Self.unproven.count + Self.notAllowed.count)
      }
    }

    @Test("A caller may name the organizations on its list, and none without one")
    func organizations() async throws {
      try await withCallers { tenant, broker, callers in
        func ask(_ organization: String, _ proof: String) async throws -> Answer {
          try await broker.token("\(API.path)?organization=\(organization)", "-H", proof)
        }
        #expect(try await ask("org_a", callers.billingProof).status == 200)
        for (organization, proof) in [("org_victim", callers.billingProof), ("org_a", callers.reportsProof)] {
          let refused = try await ask(organization, proof)
          #expect(refused.status == 403 && refused.error == "caller_not_allowed", "\(refused.body)")
        }
        let posted = try await Answer.curl([
          "\(broker.url)/oauth/token", "-u", "billing:\(callers.billing)", "-d", "grant_type=client_credentials",
          "-d", "organization=org_victim",
        ])
        #expect(posted.status == 400 && posted.error == "unauthorized_client")
        #expect(tenant.tenant.statistics.tokenRequests == 1)
      }
    }

    @Test("An organization that an audience is for needs no caller's list")
    func pinnedOrganization() async throws {
      let audiences = "audiences: [{audience: '\(API.audience)', organization: org_c}]\n"
      try await withCallers(audiences) { _, broker, callers in
        for (query, status) in [("", 200), ("?organization=org_c", 200), ("?organization=org_a", 403)] {
          let answer = try await broker.token(API.path + query, "-H", callers.billingProof)
          #expect(answer.status == status, "\(query)")
        }
      }
    }

    @Test("By Basic a caller is known wherever it asks, and every 401 asks for Basic and Bearer")
    func basic() async throws {
      try await withCallers { _, broker, callers in
        let good = "billing:\(callers.billing)"
        let token = try #require(try await broker.token(API.path, "--anyauth", "-u", good).token)
        let forwarded = try await Answer.curl(["\(broker.url)/forward-auth/\(API.path)", "-u", good])
        #expect(forwarded.field("authorization") == "Bearer \(token)")
        for pair in ["billing:wrong", "reports:\(callers.billing)", "nobody:", ":"] {
          let refused = try await broker.token(API.path, "-u", pair)
          #expect(refused.status == 401, "\(pair)")
          #expect(refused.challenges == ["Bearer realm=\"token-broker\"", "Basic realm=\"token-broker\""])
        }
      }
    }

    @Test("Two proofs in one request are a malformed request")
    func twoProofs() async throws {
      try await withCallers { _, broker, callers in
        let twice = try await broker.token(
          API.path, "-H", callers.billingProof, "-H", "Authorization: Bearer x")
        #expect(twice.status == 400)
      }
    }

    @Test("Callers get the tokens that the policy gives them, and each is logged")
    func given() async throws {
      try await withCallers { _, broker, callers in
        let (billing, reports) = (callers.billingProof, callers.reportsProof)
        #expect(try await broker.token(API.path, "-H", billing).json["scope"] as? String == "read:a write:a")
        #expect(try await broker.token(API.path, "-H", reports).json["scope"] as? String == "read:a")
        #expect(try await broker.token("https:%2F%2Fledger.example.com/", "-H", billing).status == 200)
        try await broker.child.wait(forLog: "\"token given\"", times: 3)
      }
    }

    @Test("Probes are answered without a proof", arguments: ["/healthz", "/readyz"])
    func probes(_ path: String) async throws {
      try await withCallers { _, broker, _ in
        let answer = try await Answer.curl([broker.url + path])
        #expect(answer.status == 200)
      }
    }

    @Test("An audience that a caller may not have is refused in the same words, whether or not it is served")
    func sameWords() async throws {
      let payroll = "https://payroll.example.com/"
      try await withCallers("audiences: ['https://api.example.com/', '\(payroll)']\n") { tenant, broker, callers in
        var answers: [String] = []
        for audience in [payroll, "https://payrol1.example.com/"] {
          let answer = try await broker.token(audience, "-H", callers.billingProof)
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
          Case(path: API.path, key: callers.billing, expected: "\"scope\":\"read:a write:a\""),
          Case(path: API.path, key: callers.reports, expected: "\"scope\":\"read:a\",\""),
          Case(path: API.path + "?scope=write:a", key: callers.billing, expected: "\"scope\":\"write:a\",\""),
          Case(path: API.path + "?scope=write:a", key: callers.reports, expected: "caller_not_allowed"),
          Case(path: "https:%2F%2Fledger.example.com/", key: callers.billing, expected: "\"access_token\""),
          Case(path: "https://api.example.com", key: callers.billing, expected: "caller_not_allowed"),
          Case(path: API.path, key: "wrong", expected: "invalid_caller"),
          Case(path: API.path + "?organization=org_a", key: callers.billing, expected: "\"org_id\":\"org_a\""),
          Case(path: API.path + "?organization=org_b", key: callers.billing, expected: "\"org_id\":\"org_b\""),
        ]
        let clients = try (0..<8).map { _ in try RawClient(port: broker.port, timeout: 30) }
        for round in 0..<30 {
          // Each connection has several requests on the way at once, and the connections have different ones.
          for (number, client) in clients.enumerated() {
            for offset in 0..<3 {
              let test = cases[(round + number + offset) % cases.count]
              try client.send(API.request(test.path, fields: "Authorization: Bearer \(test.key)"))
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
        let broker = try await tenant.broker(configuration: callers.text + more(tenant))
        let proof = callers.billingProof
        for (query, isAllowed) in [
          ("", true), ("?scope=orders.read", true), ("?scope=payroll.read", false),
          ("?scope=orders.read%20payroll.read", false),
        ] {
          let answer = try await broker.token(API.path + query, "-H", proof)
          #expect((answer.error != "caller_not_allowed") == isAllowed, "\(query): \(answer.body)")
        }
      }
    }

    @Test(
      "A Kubernetes service account is known by a token that its cluster has signed for the broker, and by no other")
    func serviceAccounts() async throws {
      try await withTenant { tenant in
        let keys = try tenant.file("jwks.json", "")
        let script = Repository.path("Tests/IntegrationTests/Clients/service_account.py")
        let made = try await ChildProcess.run("/usr/bin/python3", [script, keys])
        let tokens = try JSONDecoder().decode([String: String].self, from: Data(made.output.utf8))
        let file = try tenant.file(
          "broker.yaml",
          """
          callers: {batch: {serviceAccount: [jobs/batch], audiences: ["https://api.example.com/"]}}
          kubernetes: {issuer: "https://kubernetes.example", jwksFile: \(keys)}

          """)
        let broker = try await tenant.broker(["BROKER_CONFIG": file])
        #expect(tokens.count == 8)
        for (name, token) in tokens {
          // The second time it is known without a check.
          for _ in 0..<2 {
            let answer = try await broker.token(API.path, "-H", "Authorization: Bearer \(token)")
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
          let broker = try await tenant.broker(
            configuration: callers, ["BROKER_LISTEN": "127.0.0.1:0,unix:\(socket)"])
          let path = "http://broker/token/\(API.path)"
          let answer = try await Answer.curl(["--unix-socket", socket, path])
          #expect("\(answer.status)" == status)
          #expect(try await broker.token(API.path).status == 401)
          // A proxy sends on what its client says of itself, which does not count where the proxy is known.
          let client = ["-H", "Authorization: Bearer theirs"]
          let forward = ["--unix-socket", socket, "http://broker/forward-auth/\(API.path)"] + client
          let forwarded = try await Answer.curl(forward)
          #expect((forwarded.status == 200) == (status == "200"))
          let direct = try await Answer.curl(["--unix-socket", socket, path] + client)
          #expect(direct.status == 401)
          try await broker.end()
          #expect(!FileManager.default.fileExists(atPath: socket))
        }
      }
    }

    /// Runs a broker whose caller `reports` may ask thrice a minute, and has done so.
    private func withExhaustedCaller(_ body: (BrokerProcess, TestCallers) async throws -> Void) async throws {
      let callers = TestCallers()
      let text = callers.text.replacing("scopes: [\"read:a\"]", with: "requestsPerMinute: 3")
      try await withBroker(configuration: text) { _, broker in
        for _ in 0..<3 { #expect(try await broker.token(API.path, "-H", callers.reportsProof).status == 200) }
        try await body(broker, callers)
      }
    }

    @Test("A caller beyond its requestsPerMinute is told 429 and when to come back, and others are served")
    func limit() async throws {
      try await withExhaustedCaller { broker, callers in
        for path in [API.path, "\(API.path)?scope=read%3Aa"] {
          let answer = try await broker.token(path, "-H", callers.reportsProof)
          #expect(answer.status == 429 && answer.error == "caller_rate_limited")
          #expect((Int(answer.field("retry-after") ?? "") ?? 0) > 0)
        }
        let oauth = try await Answer.curl([
          "\(broker.url)/oauth/token", "-u", "reports:\(callers.reports)", "-d", "grant_type=client_credentials",
          "-d", "audience=\(API.audience)",
        ])
        #expect(oauth.status == 429 && oauth.error == "temporarily_unavailable")
        #expect((Int(oauth.field("retry-after") ?? "") ?? 0) > 0)
        #expect(try await broker.token(API.path, "-H", callers.billingProof).status == 200)
      }
    }

    @Test("A caller beyond its limit has a line in the log, and is no failure of the broker")
    func limitIsLogged() async throws {
      try await withExhaustedCaller { broker, callers in
        for _ in 0..<20 { _ = try await broker.token(API.path, "-H", callers.reportsProof) }
        try await broker.child.wait(forLog: "\"message\":\"denied\"")
        let lines = broker.child.errors.split(separator: "\n").filter { $0.contains("\"denied\"") }
        #expect(lines.count == 1, "\(lines)")
        #expect(lines[0].contains("\"caller\":\"reports\"") && lines[0].contains("asks too often"))
        let metrics = try await broker.metrics()
        #expect(metrics["token_broker_http_requests_total{route=\"/token/{audience}\",status=\"429\"}"] == 20)
        let status = try await Answer.curl(["\(broker.adminURL)/status.json"]).json
        #expect(status["condition"] as? String == "ok" && (status["problems"] as? [Any])?.isEmpty == true, "\(status)")
      }
    }

    @Test("Who is denied through a proxy is no failure of the broker either")
    func deniedProxy() async throws {
      try await withCallers { _, broker, callers in
        let url = "\(broker.url)/forward-auth/\(API.path)"
        #expect(try await Answer.curl([url, "-H", "Authorization: Bearer wrong"]).status == 502)
        let metrics = try await broker.metrics()
        #expect(metrics["token_broker_http_requests_total{route=\"/forward-auth/{audience}\",status=\"401\"}"] == 1)
        let status = try await Answer.curl(["\(broker.adminURL)/status.json"]).json
        #expect(status["condition"] as? String == "ok", "\(status)")
      }
    }

    @Test("A denial's line has the audience that was probably meant, of which the answer has no word")
    func nearest() async throws {
      try await withCallers { _, broker, callers in
        let answer = try await broker.token("https://api.example.com", "-H", callers.billingProof)
        #expect(answer.status == 403 && !answer.body.contains("https://api.example.com/\""))
        try await broker.child.wait(forLog: #""nearest_audience":"https://api.example.com/""#)
        let line = broker.child.errors.split(separator: "\n").first { $0.contains("\"denied\"") } ?? ""
        #expect(line.contains(#""difference":"has a slash at its end""#) && line.contains(#""caller":"billing""#))
        _ = try await broker.token("https://elsewhere.example/", "-H", callers.billingProof)
        try await broker.child.wait(forLog: "elsewhere.example")
        #expect(broker.child.errors.components(separatedBy: "nearest_audience").count == 2)
      }
    }

    @Test("A flood of denials hides no other caller's, and nobody's who is not recognised")
    func flood() async throws {
      try await withCallers { _, broker, callers in
        let clients = (try RawClient(port: broker.port), try RawClient(port: broker.port))
        for number in 0..<200 {
          try clients.0.send(API.request("https://made-up/\(number)", fields: callers.billingProof))
          try clients.1.send(API.request(API.path))
          _ = try await (clients.0.readResponse(), clients.1.readResponse())
        }
        _ = try await broker.token("\(API.path)?scope=write:a", "-H", callers.reportsProof)
        try await broker.child.wait(forLog: "\"caller\":\"reports\"")
        let lines = broker.child.errors.split(separator: "\n").filter { $0.contains("\"denied\"") }
        let ofBilling = lines.count { $0.contains("\"billing\"") }
        let ofNobody = lines.count { !$0.contains("\"caller\"") }
        #expect((60..<100).contains(ofBilling) && (60..<100).contains(ofNobody), "\(ofBilling) \(ofNobody)")
        #expect(lines.allSatisfy { $0.contains("\"peer\":\"127.0.0.1:") })
      }
    }

    @Test("What browsers and forged requests look like is refused, but forward-auth takes what a proxy passes on")
    func guards() async throws {
      let more = "allowedHosts: [broker.internal, '127.0.0.1:1']\nrequireHeader: 'X-Token-Broker: true'\n"
      try await withCallers(more) { tenant, broker, callers in
        let good = [
          "-H", "Host: broker.internal", "-H", "X-Token-Broker: true", "-H", callers.billingProof,
        ]
        func ask(_ path: String, _ headers: [String]) async throws -> Answer {
          try await Answer.curl(["\(broker.url)/\(path)/\(API.path)"] + headers)
        }
        let cases: [(headers: [String], token: Int, forward: Int)] = [
          ([], 200, 200), (["-H", "Host: BROKER.internal"], 200, 200), (["-H", "Sec-Fetch-Site: none"], 200, 200),
          (["-H", "Origin: https://evil.example"], 403, 200), (["-H", "Origin: null"], 403, 200),
          (["-H", "Sec-Fetch-Site: cross-site"], 403, 200), (["-H", "Sec-Fetch-Site: same-site"], 403, 200),
          (["-H", "X-Forwarded-For: 10.0.0.1"], 403, 200), (["-H", "Host: evil.example"], 403, 502),
          (["-H", "Host: broker.internal.evil.example"], 403, 502), (["-H", "X-Token-Broker: false"], 403, 502),
          (["-H", "X-Token-Broker;"], 403, 502),
        ]
        for (headers, token, forward) in cases {
          // Where two fields have one name, curl sends the last.
          let names = Set(headers.map { $0.prefix { $0 != ":" && $0 != ";" }.lowercased() }).subtracting(["-h"])
          let kept = stride(from: 0, to: good.count, by: 2).filter { index in
            !names.contains(good[index + 1].prefix { $0 != ":" }.lowercased())
          }.flatMap { [good[$0], good[$0 + 1]] }
          let answers = try await (ask("token", kept + headers), ask("forward-auth", kept + headers))
          #expect(answers.0.status == token && answers.1.status == forward, "\(headers)")
        }
      }
    }

    @Test("forward-auth takes any method and body, and gives the token in a field")
    func forwardAuth() async throws {
      try await withCallers { _, broker, callers in
        let token = try #require(try await broker.token(API.path, "-H", callers.billingProof).token)
        for arguments in [
          ["-X", "GET"], ["-X", "PURGE"], ["-X", "OPTIONS"], ["--head"], ["-d", "grant_type=x"],
          ["-H", "Transfer-Encoding: chunked", "-d", "@/etc/hostname"], ["-H", "Accept: image/png"],
          ["-H", "Cache-Control: no-cache"], ["-H", "Cache-Control: max-age=0", "-H", "X-Rejected-Token: nonsense"],
        ] {
          let answer = try await Answer.curl(
            ["\(broker.url)/forward-auth/\(API.path)", "-H", callers.billingProof] + arguments)
          #expect(answer.status == 200 && answer.body.isEmpty, "\(arguments)")
          #expect(answer.field("authorization") == "Bearer \(token)")
          #expect(answer.field("cache-control") == "no-store")
        }
      }
    }

    @Test("forward-auth reads nothing that stands behind uri, which is the client's own")
    func forwardAuthQuery() async throws {
      try await withCallers { tenant, broker, callers in
        let proof = callers.billingProof
        let token = try #require(try await broker.token(API.path, "-H", proof).token)
        func ask(_ query: String) async throws -> Answer {
          try await Answer.curl(["\(broker.url)/forward-auth/\(API.path)?\(query)", "-H", proof])
        }
        #expect(try await ask("uri=/orders?a=b&scope=write:a").field("authorization") == "Bearer \(token)")
        #expect(try await ask("scope=write:a&uri=/").field("authorization") != "Bearer \(token)")
        #expect(try await ask("other=1").status == 502)
        #expect(tenant.tenant.statistics.mints == 2)
      }
    }

    @Test("forward-auth gives no token that the policy does not give")
    func forwardAuthPolicy() async throws {
      try await withCallers { tenant, broker, callers in
        let other = try await Answer.curl([
          "\(broker.url)/forward-auth/https://other.example/", "-H", callers.billingProof,
        ])
        #expect(other.status == 502 && other.field("authorization") == nil)
        #expect(tenant.tenant.statistics.tokenRequests == 0)
      }
    }

    /// What is asked with which key, where nil is the caller's that may ask for anything; and the answer's status and
    /// the cause in the log, where nil is a denial.
    private static let withheld: [(path: String, key: String?, status: Int, cause: String?)] = [
      (API.path, "tb_wrong", 502, nil), ("https://other.example/", "<billing>", 502, nil),
      ("\(API.path)?scope=%22", nil, 502, "invalid_scope"), ("\(API.path)?other=1", nil, 502, "invalid_request"),
      ("https:/api.example.com/", nil, 502, "invalid_audience"),
      (Fault.serviceNotFound.audience, nil, 502, "unknown_audience"),
      (Fault.notAuthorized.audience, nil, 502, "audience_not_granted"),
      (Fault.algNone.audience, nil, 502, "token_validation_failed"),
      (Fault.serverErrorHTML.audience, nil, 503, "upstream_unavailable"),
      (Fault.rateLimited.audience, nil, 503, "upstream_rate_limited"),
    ]

    @Test("forward-auth tells the log what is wrong, and no word of it to those that the proxy serves")
    func withheldTokens() async throws {
      try await withCallers { _, broker, callers in
        for (number, (path, key, status, _)) in Self.withheld.enumerated() {
          let answer = try await Answer.curl([
            "\(broker.url)/forward-auth/\(path)", "-H", "X-Request-Id: request-\(number).", "-H",
            "Authorization: Bearer \(key?.replacing("<billing>", with: callers.billing) ?? callers.reports)",
          ])
          #expect(answer.status == status, "\(path): \(answer.body)")
          #expect(answer.body == #"{"error":"no_token","request_id":"request-\#(number)."}"#)
          #expect(answer.field("www-authenticate") == nil && answer.field("authorization") == nil)
          #expect(status == 502 || answer.field("retry-after") != nil, "\(path): \(answer.head)")
        }
        let denials = Self.withheld.count { $0.cause == nil }
        try await broker.child.wait(forLog: #""message":"denied""#, times: denials)
        let message = #""message":"no token for a proxy""#
        try await broker.child.wait(forLog: message, times: Self.withheld.count - denials)
        let lines = broker.child.errors.split(separator: "\n")
        for (number, (path, _, _, cause)) in Self.withheld.enumerated() {
          let line = lines.first {
            $0.contains("request-\(number).") && $0.contains(cause == nil ? #""message":"denied""# : message)
          }
          #expect(
            cause.map { line?.contains(#""error":"\#($0)""#) ?? false } ?? (line != nil), "\(path): \(line ?? "")")
        }
      }
    }

    @Test("A proxy's merged slashes are named before anybody is asked, where it stands in a path")
    func mergedSlashes() async throws {
      try await withCallers { tenant, broker, callers in
        let merged = "https:/api.example.com/"
        let answers = [
          try await broker.token(merged, "-H", callers.billingProof),
          try await broker.token(merged, "-H", callers.reportsProof),
          try await Answer.curl([
            "\(broker.url)/oauth/token/https%3A%2Fapi.example.com%2F", "-H", callers.billingProof, "-d",
            "grant_type=client_credentials",
          ]),
        ]
        #expect(answers.map(\.status) == [400, 400, 400])
        #expect(answers.map(\.error) == ["invalid_audience", "invalid_audience", "invalid_target"])
        #expect(
          answers.allSatisfy { $0.body.contains("probably merged the two slashes") && $0.body.contains("%2F%2F") })
        #expect(tenant.tenant.statistics.tokenRequests == 0)
        let inBody = try await Answer.curl([
          "\(broker.url)/oauth/token", "-H", callers.reportsProof, "-d", "grant_type=client_credentials",
          "--data-urlencode", "audience=\(merged)",
        ])
        #expect(!inBody.body.contains("slashes"), "no proxy changes a body")
        #expect(tenant.tenant.statistics.tokenRequests == 1)
      }
    }
  }
}
