import DevTenant
import Foundation
import TestSupport
import Testing

extension LoadTests {
  /// Another configuration while the broker runs.
  @Suite struct ReloadTests {
    @Test("Fifty reloads under load, half of them of files that are wrong, fail no request")
    func underLoad() async throws {
      let callers = TestCallers()
      try await withTenant { tenant in
        let path = try tenant.file("broker.yaml", callers.text)
        let broker = try await tenant.broker(["BROKER_CONFIG": path])
        let request = API.request(fields: callers.billingProof)
        let (done, answers) = (Flag(), Watched(0))
        async let errors = Self.load(broker.port, request, counting: answers, until: done)
        for round in 1...25 {
          let before = answers.value
          // By the file alone, and with a signal.
          _ = try tenant.file("broker.yaml", callers.text + "cache: {minRefreshInterval: \(round)s}\n")
          if round % 2 == 0 { broker.child.signal(SIGHUP) }
          try await broker.child.wait(forLog: BrokerProcess.reloaded, times: round)
          _ = try tenant.file("broker.yaml", callers.text + "cache: {minRefreshInterval: \(round)}\n")
          try await broker.child.wait(
            forLog: "(\(path):\(callers.lines + 1):29): expected a duration", times: round)
          try await answers.wait(for: "an answer") { answers.value > before ? true : nil }
        }
        done.raise()
        let all = try await errors
        #expect(all.isEmpty, "\(all.first ?? "")")
        #expect(tenant.tenant.statistics.mints == 1)
      }
    }

    private static func load(
      _ port: UInt16, _ request: String, counting answers: Watched<Int>, until done: Flag
    ) async throws -> [String] {
      var errors: [String] = []
      while !done.isRaised {
        // None may ask for ever on one connection.
        let client = try RawClient(port: port)
        for _ in 0..<1000 where !done.isRaised {
          try client.send(request)
          let answer = try await client.readResponse()
          answers.change { $0 += 1 }
          if !answer.head.hasPrefix("HTTP/1.1 200 ") { errors.append(answer.head + answer.body) }
        }
      }
      return errors
    }

    @Test("A reload brings callers and audiences into force")
    func takesEffect() async throws {
      let callers = TestCallers()
      try await withBroker(configuration: "audiences: ['https://ledger.example.com/']\n") { tenant, broker in
        #expect(try await broker.token(API.path).status == 404)
        _ = try tenant.file("broker.yaml", callers.text + "audiences: ['https://api.example.com/']\n")
        try await broker.child.wait(forLog: BrokerProcess.reloaded)
        #expect(try await broker.token(API.path).status == 401)
        #expect(try await broker.token(API.path, "-H", callers.billingProof).status == 200)
      }
    }

    @Test("After a reload to another client, tokens of the old one are not handed out")
    func anotherClient() async throws {
      let callers = TestCallers()
      try await withBroker(configuration: callers.text) { tenant, broker in
        let token = try await broker.token(API.path, "-H", callers.billingProof).token
        #expect(token != nil)
        let other = """
          clients:
            other: {domain: '\(tenant.tenant.baseURL)', clientId: \(tenant.tenant.clientID), \
          clientSecret: \(tenant.secret), caFile: \(tenant.environment["AUTH0_CA_FILE"] ?? "")}
          audiences: [{audience: 'https://api.example.com/', client: other, scope: 'read:a', prefetch: true}]

          """
        _ = try tenant.file("broker.yaml", callers.text + other)
        try await broker.child.wait(forLog: BrokerProcess.reloaded)
        await tenant.wait { $0.mints == 2 }
        let renewed = try await broker.token(API.path, "-H", callers.billingProof)
        #expect(renewed.status == 200 && renewed.token != token && renewed.json["scope"] as? String == "read:a")
        #expect(tenant.tenant.statistics.mints == 2)
      }
    }

    @Test("A client's certificate that is renewed in its file is taken over without a signal")
    func renewedCertificate() async throws {
      try await withTenant { tenant in
        func renew(_ name: String, _ contents: String) throws -> String {
          try tenant.file(name, "-----BEGIN CERTIFICATE-----\n\(contents)\n-----END CERTIFICATE-----\n")
        }
        let files = [try renew("client.pem", "a"), try renew("client.key", "a"), try renew("ca.pem", "a")]
        let client = """
          clients:
            other: {provider: oauth2, issuer: 'https://localhost/', clientId: x, certificateFile: '\(files[0])', \
          certificateKeyFile: '\(files[1])', caFile: '\(files[2])'}

          """
        let broker = try await tenant.broker(configuration: client)
        for (round, name) in ["client.pem", "client.key", "ca.pem"].enumerated() {
          _ = try renew(name, "b")
          try await broker.child.wait(forLog: BrokerProcess.reloaded, times: round + 1)
        }
      }
    }

    @Test("What could not be read is tried again though no file that is watched has changed, and said once")
    func unreadable() async throws {
      try await withTenant { tenant in
        let broker = try await tenant.broker(configuration: "workers: 2\n")
        let late = tenant.directory.path + "/late"
        let other = """
          audiences: [{audience: 'urn:other', client: other}]
          clients:
            other: {provider: oauth2, issuer: 'https://localhost/', clientId: x, clientSecretFile: '\(late)'}

          """
        _ = try tenant.file("broker.yaml", "workers: 2\n" + other)
        try await broker.child.wait(forLog: "\"the configuration stays as it was\"")
        #expect(try await broker.token("/token/urn:other").status != 200)
        _ = try tenant.file("late", "secret")
        try await broker.child.wait(forLog: BrokerProcess.reloaded)
        // Between its being made and its being written the file is empty, which may be told, too.
        let missing = broker.child.errors.split(separator: "\n").filter { $0.contains("No such file or directory") }
        #expect(missing.count == 1, "\(missing)")
      }
    }

    @Test("A reload warns of a setting that takes effect at the next start")
    func nextStart() async throws {
      try await withBroker(configuration: "cache: {minRemaining: 20s}\n") { tenant, broker in
        _ = try tenant.file("broker.yaml", "workers: 7\n")
        try await broker.child.wait(forLog: "this setting takes effect at the next start")
      }
    }

    @Test("What can never work is warned of at the start and, where it is new, after a reload")
    func warnings() async throws {
      let callers = TestCallers()
      try await withBroker(configuration: callers.text + "audiences: ['\(API.audience)']\n") { tenant, broker in
        // Another line of the file, so that all of it has moved.
        let more = callers.text.replacing("example.com/*\"]", with: "example.com/*\", 'urn:other']")
        _ = try tenant.file("broker.yaml", "# moved\n\(more)audiences: ['\(API.audience)']\n")
        try await broker.child.wait(forLog: "'urn:other' is never given to anybody")
        let warned = broker.child.errors.split(separator: "\n").filter { $0.contains("is never given to anybody") }
        #expect(warned.count == 2 && warned[0].contains("'https://ledger.example.com/*' is never given"), "\(warned)")
        #expect(warned[0].contains("\"remedy\":\"") && warned[0].contains("broker.yaml:4:45"), "\(warned)")
      }
    }

    @Test(
      "A file that has lost its callers leaves the broker closed to others",
      arguments: ["", "# cut short\n", "workers: 2\n"])
    func lostCallers(_ rest: String) async throws {
      let callers = TestCallers()
      try await withTenant { tenant in
        let broker = try await tenant.broker(configuration: callers.text)
        _ = try tenant.file("broker.yaml", rest)
        try await broker.child.wait(forLog: "\"the configuration stays as it was\"")
        #expect(try await broker.token(API.path).status == 401)
        #expect(try await broker.token(API.path, "-H", callers.billingProof).status == 200)
      }
    }

    @Test(
      "A file that has lost another guard leaves it up until the next start",
      arguments: [
        "audiences: ['https://ledger.example.com/']", "requireHeader: 'X-Token-Broker: true'", "allowedHosts: [a]",
      ])
    func lostGuards(_ guarding: String) async throws {
      try await withTenant { tenant in
        let broker = try await tenant.broker(configuration: guarding + "\n")
        let refused = try await broker.token(API.path).status
        #expect(refused == 403 || refused == 404)
        _ = try tenant.file("broker.yaml", "cache: {minRemaining: 20s}\n")
        try await broker.child.wait(forLog: "cannot be given up while the broker runs")
        #expect(try await broker.token(API.path).status == refused)
      }
    }

    @Test(
      "A file that has lost the end of a caller leaves it restricted, and a caller may go as a whole",
      arguments: ["scopes: ['read:orders']", "requestsPerMinute: 100"])
    func lostEnd(_ restriction: String) async throws {
      func callers(_ names: [String], _ rest: String) -> String {
        let lines = names.map { "  \($0): {audiences: ['*'], bearerSHA256: [\(TestCallers.digest($0))]\(rest)}\n" }
        return "callers:\n" + lines.joined()
      }
      try await withTenant { tenant in
        let broker = try await tenant.broker(configuration: callers(["a", "b", "b.x"], ", " + restriction))
        _ = try tenant.file("broker.yaml", callers(["a", "b", "b.x"], ""))
        let key = restriction.prefix { $0 != ":" }
        try await broker.child.wait(forLog: "callers.b.\(key): cannot be given up while the broker runs")
        _ = try tenant.file("broker.yaml", callers(["b.x"], ""))
        try await broker.child.wait(
          forLog: "callers.b.x.\(key): cannot be given up while the broker runs", times: 2)
        _ = try tenant.file("broker.yaml", callers(["b.x"], ", " + restriction))
        try await broker.child.wait(forLog: BrokerProcess.reloaded)
        #expect(try await broker.token(API.path, "-H", "Authorization: Bearer b").status == 401)
        _ = try tenant.file("broker.yaml", callers(["b"], ""))
        try await broker.child.wait(forLog: "callers.b.\(key): cannot be given up while the broker runs", times: 2)
      }
    }

    /// A client of the tenant with this id and secret.
    private static func client(_ tenant: Tenant, id: String? = nil, secret: String? = nil) -> String {
      """
      auth0: {domain: '\(tenant.tenant.baseURL)', clientId: \(id ?? tenant.tenant.clientID), \
      clientSecret: \(secret ?? tenant.secret), caFile: '\(tenant.environment["AUTH0_CA_FILE"] ?? "")'}

      """
    }

    @Test("A secret that was wrong and is corrected is tried at once")
    func corrected() async throws {
      try await withTenant { tenant in
        let path = try tenant.file("broker.yaml", Self.client(tenant, secret: "wrong"))
        let broker = try await BrokerProcess(environment: ["BROKER_CONFIG": path])
        #expect(try await broker.token(API.path).status == 502)
        #expect(try await Answer.curl([broker.url + "/readyz"]).status == 503)
        _ = try tenant.file("broker.yaml", Self.client(tenant))
        try await broker.child.wait(forLog: BrokerProcess.reloaded)
        #expect(try await Answer.curl([broker.url + "/readyz"]).status == 200)
        #expect(try await broker.token(API.path).status == 200)
        try await broker.end()
      }
    }

    @Test("A caller's requests before a reload count towards its limit after it")
    func limitsGoOn() async throws {
      let callers = TestCallers()
      let text = callers.text.replacing("scopes: [\"read:a\"]", with: "requestsPerMinute: 3")
      try await withBroker(configuration: text) { tenant, broker in
        #expect(try await broker.token(API.path, "-H", callers.reportsProof).status == 200)
        _ = try tenant.file("broker.yaml", text + "cache: {minRemaining: 20s}\n")
        try await broker.child.wait(forLog: BrokerProcess.reloaded)
        for status in [200, 200, 429] {
          #expect(try await broker.token(API.path, "-H", callers.reportsProof).status == status)
        }
      }
    }

    @Test("Who asks after a reload gets the new client's token, though a request for the old one is under way")
    func underWay() async throws {
      try await withTenant { tenant in
        let path = try tenant.file("broker.yaml", Self.client(tenant, id: "nobody"))
        let broker = try await BrokerProcess(environment: ["BROKER_CONFIG": path])
        // So long the old one is under way.
        tenant.tenant.setLatency(.seconds(2))
        async let before = broker.token(API.path)
        await tenant.wait { $0.tokenRequests == 1 }
        tenant.tenant.setLatency(.zero)
        _ = try tenant.file("broker.yaml", Self.client(tenant))
        try await broker.child.wait(forLog: BrokerProcess.reloaded)
        #expect(try await broker.token(API.path).status == 200)
        #expect(try await before.status == 502)
        #expect(try await broker.token(API.path).status == 200)
        #expect(try await Answer.curl([broker.url + "/readyz"]).status == 200)
        try await broker.end()
      }
    }

    @Test("With waitForPrefetch the broker becomes ready with the first token")
    func waitForPrefetch() async throws {
      try await withTenant { tenant in
        // So long the first token is on its way.
        tenant.tenant.setLatency(.seconds(2))
        let broker = try await tenant.broker(
          configuration: """
            audiences: [{audience: '\(API.audience)', prefetch: true}]
            readiness: {waitForPrefetch: true, startupTimeout: 1m}

            """)
        await tenant.wait { $0.tokenRequests > 0 }
        let early = try await Answer.curl([broker.url + "/readyz"])
        #expect(early.status == 503 && early.body.contains("starting: 1 of the prefetched tokens"), "\(early.body)")
        #expect(try await Answer.curl([broker.url + "/healthz"]).status == 200)
        try await eventually("ready") { try await Answer.curl([broker.adminURL + "/readyz"]).status == 200 }
        #expect(try await broker.token(API.path).status == 200 && tenant.tenant.statistics.mints == 1)
        try await broker.end()
      }
    }

    @Test("An audience with prefetch is minted before anybody asks")
    func prefetch() async throws {
      try await withTenant { tenant in
        let broker = try await tenant.broker(
          configuration: "audiences: [{audience: 'https://api.example.com/', prefetch: true}]\n")
        await tenant.wait { $0.mints == 1 }
        #expect(try await broker.token(API.path).status == 200)
        #expect(tenant.tenant.statistics.mints == 1)
      }
    }
  }
}
