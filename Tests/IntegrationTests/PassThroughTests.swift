import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// Clients that bring credentials of their own.
  @Suite struct PassThroughTests {
    private func ask(
      _ broker: BrokerProcess, _ id: String, _ secret: String, audience: String = API.audience, _ more: String...
    ) async throws -> Answer {
      try await Answer.curl(
        [
          "\(broker.url)/oauth/token", "-u", "\(id):\(secret)", "-d", "grant_type=client_credentials",
          "-d", "audience=\(audience)",
        ] + more)
    }

    /// Runs a broker that lets credentials through, beside its callers.
    private func withPassThrough(_ body: (Tenant, BrokerProcess, TestCallers) async throws -> Void) async throws {
      let callers = TestCallers()
      try await withBroker(configuration: callers.text + "auth0: {passthrough: true}\n") { tenant, broker in
        try await body(tenant, broker, callers)
        #expect(!broker.child.errors.contains(tenant.secret))
      }
    }

    @Test("Credentials that are brought cost a mint of their own, and no other when they come again or after a reload")
    func good() async throws {
      try await withPassThrough { tenant, broker, callers in
        let id = tenant.tenant.clientID
        _ = try await ask(broker, "billing", callers.billing)
        let first = try await ask(broker, id, tenant.secret)
        #expect(first.status == 200 && first.token != nil)
        for _ in 0..<20 { #expect(try await ask(broker, id, tenant.secret).token == first.token) }
        broker.child.signal(SIGHUP)
        try await broker.child.wait(forLog: BrokerProcess.reloaded)
        #expect(try await ask(broker, id, tenant.secret).token == first.token)
        #expect(tenant.tenant.statistics.mints == 2)
      }
    }

    @Test("Who brings credentials is given a new token on demand")
    func fresh() async throws {
      let text = TestCallers().text + "auth0: {passthrough: true}\ncache: {minRefreshInterval: 1s}\n"
      try await withBroker(configuration: text) { tenant, broker in
        let id = tenant.tenant.clientID
        let first = try await ask(broker, id, tenant.secret)
        try await eventually("a new token") {
          let answer = try await ask(broker, id, tenant.secret, "-H", "Cache-Control: no-cache")
          return answer.token != first.token
        }
        #expect(tenant.tenant.statistics.mints == 2)
      }
    }

    /// Asks a broker whose tenant answers each request with another opaque token. Returns what the tenant was sent.
    private func sent(_ requests: [[String]]) async throws -> (answers: [Answer], requests: [String]) {
      try await withPeer { connection in
        while connection.request() != nil {
          let token = UUID().uuidString
          connection.answer(
            "200 OK", body: #"{"access_token":"\#(token)","token_type":"Bearer","expires_in":3600}"#)
        }
      } _: { peer in
        let configuration = """
          clients:
            default:
              {provider: oauth2, tokenURL: '\(peer.url)/token', clientId: own, clientSecret: own-secret,
              passthrough: true, extraParameters: {realm: own}}
          audiences: [{audience: '\(API.audience)', verify: opaque}]
          """
        var answers: [Answer] = []
        try await withTenant { tenant in
          let environment = try ["BROKER_CONFIG": tenant.file("broker.yaml", configuration)]
          let broker = try await BrokerProcess(environment: environment)
          for request in requests {
            let fixed = ["\(broker.url)/oauth/token/\(API.path)", "-d", "grant_type=client_credentials"]
            answers.append(try await Answer.curl(fixed + request))
          }
          try await broker.end()
          #expect(!broker.child.errors.contains("pl=a"))
        }
        return (answers, peer.requests)
      }
    }

    @Test(
      "A pair by Basic goes on byte for byte",
      arguments: ["vendor:a+b", "vendor:pl=a/in==", "vendor:a%b", "vendor:a%2Bb", "ven%2Fdor:ü"])
    func verbatim(_ pair: String) async throws {
      let field = "basic \(Data(pair.utf8).base64EncodedString())"
      let sent = try await sent([["-H", "Authorization: \(field)"], ["-u", pair]])
      #expect(sent.answers.map(\.status) == [200, 200] && sent.answers[0].token == sent.answers[1].token)
      let request = try #require(sent.requests.first)
      #expect(sent.requests.count == 1 && request.contains("\r\nAuthorization: \(field)\r\n"), "\(request)")
    }

    @Test("What else a request says goes on with its credentials, and has tokens of its own")
    func unknownMembers() async throws {
      let (pair, hint) = (["-u", "vendor:s"], ["-d", "tenant_hint=x%26y", "-d", "realm=theirs"])
      let sent = try await sent([pair, pair + hint, hint + pair, pair + ["-d", "tenant_hint=z"]])
      #expect(sent.answers.map(\.status) == [200, 200, 200, 200])
      let tokens = sent.answers.map { $0.token ?? "" }
      #expect(tokens[1] == tokens[2] && Set(tokens).count == 3)
      #expect(sent.requests.count == 3)
      #expect(sent.requests.map { $0.contains("realm=own") } == [true, false, true])
      #expect(sent.requests.map { $0.contains("&realm=theirs&tenant_hint=x%26y") } == [false, true, false])
    }

    @Test("A wrong secret is refused by the tenant once, and from memory then, though the right one's token is held")
    func wrong() async throws {
      try await withPassThrough { tenant, broker, _ in
        let id = tenant.tenant.clientID
        #expect(try await ask(broker, id, tenant.secret).status == 200)
        for _ in 0..<3 {
          let wrong = try await ask(broker, id, tenant.secret + "x")
          #expect(wrong.status == 401 && wrong.error == "invalid_client")
        }
        #expect(tenant.tenant.statistics.tokenRequests == 2)
      }
    }

    @Test("A caller's name with another secret, or its key under another name, is refused without a request upstream")
    func callersOwn() async throws {
      try await withPassThrough { tenant, broker, callers in
        let (mistyped, other) = try await (
          ask(broker, "billing", "mistyped"), ask(broker, "Billing", callers.billing)
        )
        #expect(mistyped.status == 401 && other.status == 401)
        #expect(tenant.tenant.statistics.tokenRequests == 0)
      }
    }

    @Test("An audience that is not served looks like wrong credentials to who has proved nothing")
    func unserved() async throws {
      try await withPassThrough { tenant, broker, _ in
        let unlisted = try await ask(broker, tenant.tenant.clientID, "made-up", audience: "https://unknown/")
        #expect(unlisted.status == 401 || unlisted.error == "invalid_target")
      }
    }

    @Test("Guesses at a client's secret are limited, and neither its own token nor a caller's is kept from them")
    func guesses() async throws {
      try await withPassThrough { tenant, broker, callers in
        let id = tenant.tenant.clientID
        let own = try await ask(broker, "billing", callers.billing)
        let first = try await ask(broker, id, tenant.secret)
        var refused = 0
        for guess in 0..<20 where try await ask(broker, id, "guess-\(guess)").status == 429 { refused += 1 }
        #expect(refused >= 10 && tenant.tenant.statistics.tokenRequests <= 12)
        #expect(try await ask(broker, id, tenant.secret).token == first.token)
        #expect(try await ask(broker, "billing", callers.billing).token == own.token)
        // The broker's own credentials are not in doubt.
        #expect(try await Answer.curl([broker.url + "/readyz"]).status == 200)
        #expect(!broker.child.errors.contains("guess-"))
      }
    }

    @Test("Who guesses at one address keeps nobody at another from being accepted, and is named in the log")
    func guesserElsewhere() async throws {
      try await withPassThrough { tenant, broker, _ in
        let guesser = try RawClient(port: broker.port)
        var statuses: [String: Int] = [:]
        for guess in 0..<200 {
          let body = "grant_type=client_credentials&client_id=made-up-\(guess)&client_secret=x&audience=\(API.path)"
          try guesser.send(
            "POST /oauth/token HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
              + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
          statuses[String(try await guesser.readResponse().head.dropFirst(9).prefix(3)), default: 0] += 1
        }
        #expect(statuses["401", default: 0] + statuses["429", default: 0] == 200, "\(statuses)")
        let newcomer = try await ask(
          broker, tenant.tenant.clientID, tenant.secret, audience: API.audience, "--interface", "127.0.0.2")
        #expect(newcomer.status == 200, "\(newcomer.body)")
        #expect(tenant.tenant.statistics.tokenRequests < 60)
        try await broker.child.wait(forLog: "an allowance for refusals is used up")
        #expect(broker.child.errors.contains(#""source":"127.0.0.1""#) && !broker.child.errors.contains("made-up-199"))
        let metrics = try await Answer.curl([broker.adminURL + "/metrics"]).body
        let line = metrics.split(separator: "\n").first {
          $0.hasPrefix("token_broker_unpaid_requests_total{client=\"default (pass-through)\"} ")
        }
        #expect(line?.split(separator: " ").last.map(String.init) == statuses["429"].map { "\($0)" })
      }
    }

    @Test("Behind the PROXY protocol, who guesses is limited by the address that the proxy tells")
    func proxiedGuesser() async throws {
      let text = "auth0: {passthrough: true}\nproxyFrom: 127.0.0.1\n"
      let environment = ["BROKER_LISTEN": "127.0.0.1:0?proxy=required"]
      try await withBroker(environment, configuration: TestCallers().text + text) { tenant, broker in
        func ask(_ id: String, _ secret: String, on client: RawClient) async throws -> String {
          let body = "grant_type=client_credentials&client_id=\(id)&client_secret=\(secret)&audience=\(API.path)"
          try client.send(
            "POST /oauth/token HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
              + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
          return try await client.readResponse().head
        }
        let guesser = try RawClient(port: broker.port)
        try guesser.send("PROXY TCP4 10.0.0.7 10.0.0.1 9 80\r\n")
        for guess in 0..<100 { _ = try await ask("made-up-\(guess)", "x", on: guesser) }
        let newcomer = try RawClient(port: broker.port)
        try newcomer.send("PROXY TCP4 10.0.0.8 10.0.0.1 9 80\r\n")
        #expect(try await ask(tenant.tenant.clientID, tenant.secret, on: newcomer).hasPrefix("HTTP/1.1 200 "))
        try await broker.child.wait(forLog: "an allowance for refusals is used up")
        #expect(broker.child.errors.contains(#""source":"10.0.0.7""#))
        #expect(broker.child.errors.contains(#""peer":"10.0.0.7:9""#))
      }
    }

    @Test("Without passthrough, credentials that are no caller's are refused without a request upstream")
    func off() async throws {
      try await withBroker(configuration: TestCallers().text) { tenant, broker in
        let answer = try await ask(broker, tenant.tenant.clientID, tenant.secret)
        #expect(answer.status == 401)
        #expect(tenant.tenant.statistics.tokenRequests == 0)
      }
    }

    @Test("Without callers and passthrough, credentials are not looked at")
    func open() async throws {
      try await withBroker { _, broker in
        let answer = try await ask(broker, "anyone", "anything")
        #expect(answer.status == 200)
      }
    }
  }
}
