import Basics
import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// Another configuration while the broker runs.
  @Suite struct ReloadTests {
    private static let api = "https%3A%2F%2Fapi.example.com%2F"

    @Test("Fifty reloads under load, half of them of files that are wrong: no request fails")
    func underLoad() async throws {
      let callers = TestCallers()
      try await withTenant { tenant in
        let path = try tenant.file("broker.yaml", callers.text)
        let environment = tenant.environment.merging(["BROKER_CONFIG": path]) { $1 }
        let broker = try await BrokerProcess(environment: environment)
        let client = try RawClient(port: broker.port)
        let request =
          "GET /token/\(Self.api) HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(callers.billing)\r\n\r\n"
        let done = Flag()
        async let failures = Self.load(client, request, until: done)
        for round in 1...25 {
          // By the file alone, and with a signal.
          _ = try tenant.file("broker.yaml", callers.text + "cache: {minRefreshInterval: \(round)s}\n")
          if round % 2 == 0 { broker.child.signal(SIGHUP) }
          try await broker.wait(forLog: "\"the configuration was read again\"", times: round)
          _ = try tenant.file("broker.yaml", callers.text + "cache: {minRefreshInterval: \(round)}\n")
          try await broker.wait(forLog: "(\(path):\(callers.lines + 1):29): expected a duration", times: round)
        }
        done.raise()
        let (answers, errors) = try await failures
        #expect(errors.isEmpty && answers > 50, "\(answers) answers, \(errors.first ?? "")")
        #expect(tenant.tenant.statistics.mints == 1)
      }
    }

    private static func load(
      _ client: RawClient, _ request: String, until done: Flag
    ) async throws -> (answers: Int, errors: [String]) {
      var (answers, errors) = (0, [String]())
      while !done.isRaised {
        try client.send(request)
        let answer = try await client.readResponse()
        answers += 1
        if !answer.head.hasPrefix("HTTP/1.1 200 ") { errors.append(answer.head + answer.body) }
      }
      return (answers, errors)
    }

    @Test("A reload brings callers, audiences and clients into force, and drops tokens of a client that is another now")
    func takesEffect() async throws {
      let callers = TestCallers()
      try await withTenant { tenant in
        let closed = "audiences: ['https://ledger.example.com/']\n"
        let path = try tenant.file("broker.yaml", closed)
        let broker = try await BrokerProcess(environment: tenant.environment.merging(["BROKER_CONFIG": path]) { $1 })
        #expect(try await broker.token(Self.api).status == 404)
        _ = try tenant.file("broker.yaml", callers.text + "audiences: ['https://api.example.com/']\n")
        try await broker.wait(forLog: "\"the configuration was read again\"", times: 1)
        #expect(try await broker.token(Self.api).status == 401)
        let proof = "Authorization: Bearer \(callers.billing)"
        let token = try await broker.token(Self.api, "-H", proof).token
        #expect(token != nil)

        // The same tenant under another client: what was held for the old one is not handed out.
        let other = """
          clients:
            other: {domain: '\(tenant.tenant.baseURL)', clientId: \(tenant.tenant.clientID), \
          clientSecret: \(tenant.secret), caFile: \(tenant.environment["AUTH0_CA_FILE"] ?? "")}
          audiences: [{audience: 'https://api.example.com/', client: other, scope: 'read:a', prefetch: true}]
          workers: 7

          """
        _ = try tenant.file("broker.yaml", callers.text + other)
        try await broker.wait(forLog: "\"the configuration was read again\"", times: 2)
        try await broker.wait(forLog: "this setting takes effect at the next start")
        await tenant.wait { $0.mints == 2 }
        let renewed = try await broker.token(Self.api, "-H", proof)
        #expect(renewed.status == 200 && renewed.token != token && renewed.json["scope"] as? String == "read:a")
        #expect(tenant.tenant.statistics.mints == 2)
      }
    }

    @Test("What a file has closed, its loss does not open", arguments: ["", "# cut short\n", "workers: 2\n"])
    func lostCallers(_ rest: String) async throws {
      let callers = TestCallers()
      try await withTenant { tenant in
        let path = try tenant.file("broker.yaml", callers.text)
        let broker = try await BrokerProcess(environment: tenant.environment.merging(["BROKER_CONFIG": path]) { $1 })
        _ = try tenant.file("broker.yaml", rest)
        try await broker.wait(forLog: "\"the configuration stays as it was\"")
        #expect(try await broker.token(Self.api).status == 401)
        #expect(try await broker.token(Self.api, "-H", "Authorization: Bearer \(callers.billing)").status == 200)
      }
    }

    @Test(
      "Nor do other guards fall without a new start",
      arguments: [
        "audiences: ['https://ledger.example.com/']", "requireHeader: 'X-Token-Broker: true'", "allowedHosts: [a]",
      ])
    func lostGuards(_ guarding: String) async throws {
      try await withTenant { tenant in
        let path = try tenant.file("broker.yaml", guarding + "\n")
        let broker = try await BrokerProcess(environment: tenant.environment.merging(["BROKER_CONFIG": path]) { $1 })
        let refused = try await broker.token(Self.api).status
        #expect(refused == 403 || refused == 404)
        _ = try tenant.file("broker.yaml", "cache: {minRemaining: 20s}\n")
        try await broker.wait(forLog: "cannot be given up while the broker runs")
        #expect(try await broker.token(Self.api).status == refused)
      }
    }

    @Test("A secret that was wrong and is corrected is tried at once, and limits go on counting")
    func corrected() async throws {
      try await withTenant { tenant in
        let client = { (secret: String) in
          "auth0: {domain: '\(tenant.tenant.baseURL)', clientId: \(tenant.tenant.clientID), clientSecret: \(secret)}\n"
        }
        let callers = TestCallers()
        let text = callers.text.replacing("scopes: [\"read:a\"]", with: "requestsPerMinute: 3")
        let path = try tenant.file("broker.yaml", text + client("wrong"))
        let environment = tenant.environment.filter { $0.key == "AUTH0_CA_FILE" }
        let broker = try await BrokerProcess(environment: environment.merging(["BROKER_CONFIG": path]) { $1 })
        let proof = "Authorization: Bearer \(callers.reports)"
        #expect(try await broker.token(Self.api, "-H", proof).status == 502)
        #expect(try await Answer.curl([broker.url + "/readyz"]).status == 503)
        _ = try tenant.file("broker.yaml", text + client(tenant.secret))
        try await broker.wait(forLog: "\"the configuration was read again\"")
        #expect(try await Answer.curl([broker.url + "/readyz"]).status == 200)
        for status in [200, 200, 503] { #expect(try await broker.token(Self.api, "-H", proof).status == status) }
      }
    }

    @Test("Who asks after a reload gets the new client's token, whatever is still under way for the old one")
    func underWay() async throws {
      try await withTenant { tenant in
        let client = { (id: String) in
          "auth0: {domain: '\(tenant.tenant.baseURL)', clientId: \(id), clientSecret: \(tenant.secret)}\n"
        }
        let path = try tenant.file("broker.yaml", client("nobody"))
        let environment = tenant.environment.filter { $0.key == "AUTH0_CA_FILE" }
        let broker = try await BrokerProcess(environment: environment.merging(["BROKER_CONFIG": path]) { $1 })
        tenant.tenant.setLatency(.seconds(2))
        async let before = broker.token(Self.api)
        await tenant.wait { $0.tokenRequests == 1 }
        tenant.tenant.setLatency(.zero)
        _ = try tenant.file("broker.yaml", client(tenant.tenant.clientID))
        try await broker.wait(forLog: "\"the configuration was read again\"")
        #expect(try await broker.token(Self.api).status == 200)
        #expect(try await before.status == 502)
        #expect(try await broker.token(Self.api).status == 200)
        #expect(try await Answer.curl([broker.url + "/readyz"]).status == 200)
      }
    }

    @Test("A listed audience with prefetch is minted before anybody asks")
    func prefetch() async throws {
      try await withTenant { tenant in
        let path = try tenant.file(
          "broker.yaml", "audiences: [{audience: 'https://api.example.com/', prefetch: true}]\n")
        let broker = try await BrokerProcess(environment: tenant.environment.merging(["BROKER_CONFIG": path]) { $1 })
        await tenant.wait { $0.mints == 1 }
        #expect(try await broker.token(Self.api).status == 200)
        #expect(tenant.tenant.statistics.mints == 1)
      }
    }
  }
}
