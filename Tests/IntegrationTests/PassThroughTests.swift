import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// Clients that bring credentials of their own.
  @Suite struct PassThroughTests {
    private static let api = "https://api.example.com/"

    private func ask(
      _ broker: BrokerProcess, _ id: String, _ secret: String, audience: String = api
    ) async throws -> Answer {
      try await Answer.curl([
        "\(broker.url)/oauth/token", "-u", "\(id):\(secret)", "-d", "grant_type=client_credentials",
        "-d", "audience=\(audience)",
      ])
    }

    @Test("The same credentials are minted for once, wrong ones never find the token, and guessing is slow")
    func passThrough() async throws {
      let callers = TestCallers()
      try await withTenant { tenant in
        let file = try callers.file(tenant, "auth0: {passthrough: true}\n")
        let broker = try await BrokerProcess(environment: tenant.environment.merging(file) { $1 })
        let id = tenant.tenant.clientID
        let own = try await ask(broker, "billing", callers.billing)
        let first = try await ask(broker, id, tenant.secret)
        #expect(first.status == 200 && first.token != nil)
        for _ in 0..<20 { #expect(try await ask(broker, id, tenant.secret).token == first.token) }
        #expect(tenant.tenant.statistics.mints == 2)

        // A wrong secret is the tenant's to refuse, once; then it is remembered.
        for _ in 0..<3 {
          let wrong = try await ask(broker, id, tenant.secret + "x")
          #expect(wrong.status == 401 && wrong.error == "invalid_client")
        }
        #expect(tenant.tenant.statistics.tokenRequests == 3)
        // A caller's name with another secret does not reach the tenant.
        #expect(try await ask(broker, "billing", "mistyped").status == 401)
        #expect(tenant.tenant.statistics.tokenRequests == 3)

        // Nor does a caller's own key under another name.
        #expect(try await ask(broker, "Billing", callers.billing).status == 401)
        #expect(tenant.tenant.statistics.tokenRequests == 3)
        // A reload changes nothing of it.
        broker.child.signal(SIGHUP)
        try await broker.wait(forLog: "\"the configuration was read again\"")
        #expect(try await ask(broker, id, tenant.secret).token == first.token)
        #expect(tenant.tenant.statistics.mints == 2)
        // What is not served looks to strangers like wrong credentials.
        let unlisted = try await ask(broker, id, "made-up", audience: "https://unknown/")
        #expect(unlisted.status == 401 || unlisted.error == "invalid_target")

        var refused = 0
        for guess in 0..<20 where try await ask(broker, id, "guess-\(guess)").status == 503 { refused += 1 }
        #expect(refused >= 10 && tenant.tenant.statistics.tokenRequests <= 13)
        // The right ones still get theirs, the broker's own credentials are not in doubt, and nothing was printed.
        #expect(try await ask(broker, id, tenant.secret).token == first.token)
        #expect(try await Answer.curl([broker.url + "/readyz"]).status == 200)
        #expect(try await ask(broker, "billing", callers.billing).token == own.token)
        #expect(!broker.child.errors.contains(tenant.secret) && !broker.child.errors.contains("guess-"))
      }
    }

    @Test("Without the setting, credentials that are no caller's are refused, and those of nobody are not looked at")
    func off() async throws {
      let callers = TestCallers()
      try await withTenant { tenant in
        let broker = try await BrokerProcess(environment: tenant.environment.merging(callers.file(tenant)) { $1 })
        #expect(try await ask(broker, tenant.tenant.clientID, tenant.secret).status == 401)
        #expect(tenant.tenant.statistics.tokenRequests == 0)
        let open = try await BrokerProcess(environment: tenant.environment)
        #expect(try await ask(open, "anyone", "anything").status == 200)
      }
    }
  }
}
