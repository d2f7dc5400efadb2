import Crypto
import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// What people see of a broker: `/status` and `/status.json`.
  @Suite struct StatusPageTests {
    private struct Report: Decodable {
      struct Failure: Decodable {
        let error: String
        let message: String
        let remedy: String
        let isCurrent: Bool
      }

      struct Problem: Decodable {
        let title: String
      }

      struct Audience: Decodable {
        let audience: String
        let scope: String?
        let state: String
        let mintedAt: Double?
        let expiresAt: Double?
        let nextRefreshAt: Double?
        let hits: Int
        let lastFailure: Failure?
      }

      struct Client: Decodable {
        struct Secret: Decodable {
          let fingerprint: String
          let acceptedAt: Double?
        }

        struct KeySet: Decodable {
          struct Key: Decodable {
            let kid: String
            let alg: String
          }
          let keys: [Key]
          let fetchedAt: Double?
        }

        struct Quota: Decodable {
          let name: String
          let remaining: Int
        }

        struct Block: Decodable {
          let cause: String
          let until: Double
        }

        let name: String
        let minted: Int
        let outcomes: [String: Int]
        let secrets: [Secret]
        let keySet: KeySet?
        let quotas: [Quota]
        let block: Block?
      }

      struct Minute: Decodable {
        let ok: Int
        let refused: Int
        let failed: Int
        let p99: Double?
      }

      struct Listener: Decodable {
        let address: String
        let isAdmin: Bool
      }

      struct Caller: Decodable {
        struct Audience: Decodable {
          let audience: String
          let requests: Int
          let denied: Int
        }

        let name: String
        let lastSeen: Double?
        let requests: Int
        let denied: Int
        let audiences: [Audience]
      }

      struct Denial: Decodable {
        let time: Double
        let peer: String
        let caller: String?
        let audience: String?
        let reason: String
        let times: Int
      }

      let condition: String
      let problems: [Problem]
      let now: Double
      let audiences: [Audience]
      let clients: [Client]
      let traffic: [Minute]
      let listeners: [Listener]
      let callers: [Caller]?
      let denials: [Denial]
    }

    private func report(_ broker: BrokerProcess) async throws -> Report {
      let answer = try await Answer.curl([broker.adminURL + "/status.json"])
      #expect(answer.status == 200 && answer.field("content-type") == "application/json")
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      return try decoder.decode(Report.self, from: Data(answer.body.utf8))
    }

    @Test("The report has each mint, and each answer from memory, whichever event loop gave it")
    func mint() async throws {
      try await withBroker(["BROKER_WORKERS": "2"]) { tenant, broker in
        let empty = try await report(broker)
        #expect(empty.condition == "ok" && empty.audiences.isEmpty && empty.callers == nil)
        #expect(empty.listeners.map(\.isAdmin) == [false, true])

        _ = try await broker.token(API.audience)
        let minted = try await report(broker)
        let row = try #require(minted.audiences.first)
        #expect(row.audience == API.audience && row.state == "held" && row.hits == 0)
        #expect(abs((row.mintedAt ?? 0) - minted.now) < 60 && abs((row.expiresAt ?? 0) - minted.now - 86400) < 60)
        #expect(row.nextRefreshAt.map { $0 > minted.now && $0 < minted.now + 86400 } == true)
        let client = try #require(minted.clients.first)
        #expect(client.name == "default" && client.minted == 1 && client.outcomes == ["ok": 1])
        #expect(client.secrets.count == 1 && client.secrets[0].acceptedAt != nil && client.block == nil)
        #expect(client.keySet?.keys.map(\.alg) == ["RS256"] && client.keySet?.fetchedAt != nil)
        #expect(client.quotas.map(\.name) == ["per_day", "per_hour"] && client.quotas.allSatisfy { $0.remaining > 0 })

        // More connections than loops, so that both loops have some.
        let clients = try (0..<16).map { _ in try RawClient(port: broker.port, timeout: 30) }
        for path in [API.audience, API.audience + "?scope=read:a"] {
          for _ in 0..<20 {
            for client in clients { try client.send(API.request(path)) }
            for client in clients { _ = try await client.readResponse() }
          }
        }
        let used = try await report(broker)
        #expect(used.audiences.map(\.hits) == [320, 319] && used.audiences.map(\.scope) == [nil, "read:a"])
        #expect(used.traffic.map(\.ok).reduce(0, +) == 641 && used.traffic.last?.p99 != nil)
      }
    }

    @Test("The report and the metrics have which caller asked for which audience, and what it was denied and why")
    func callers() async throws {
      let callers = TestCallers()
      try await withBroker(["BROKER_WORKERS": "2"], configuration: callers.text) { _, broker in
        for _ in 0..<6 { _ = try await broker.token(API.path, "-H", callers.billingProof) }
        _ = try await broker.token("https://no-such-api.example/", "-H", callers.billingProof)
        _ = try await broker.token(API.path + "?scope=%22", "-H", callers.billingProof)
        for _ in 0..<3 { _ = try await broker.token(API.path) }
        let seen = try await report(broker)
        let known = try #require(seen.callers)
        #expect(known.map(\.name) == ["billing", "reports", "(unknown)"])
        #expect(known.map(\.requests) == [8, 0, 3] && known.map(\.denied) == [1, 0, 3])
        #expect(known[0].lastSeen.map { abs($0 - seen.now) < 60 } == true && known[1].lastSeen == nil)
        #expect(known[0].audiences.map(\.audience) == [API.audience] && known[0].audiences.map(\.requests) == [6])
        #expect(seen.denials.map(\.caller) == [nil, "billing"] && seen.denials.map(\.times) == [3, 1])
        #expect(seen.denials.allSatisfy { $0.peer.hasPrefix("127.0.0.1:") && abs($0.time - seen.now) < 60 })
        #expect(seen.denials[1].audience == "https://no-such-api.example/")
        #expect(seen.denials[1].reason == "the caller may not have this audience")

        let metrics = try await broker.metrics()
        func requests(_ caller: String, _ outcome: String) -> Double? {
          metrics["token_broker_caller_requests_total{caller=\"\(caller)\",outcome=\"\(outcome)\"}"]
        }
        #expect(requests("billing", "ok") == 6 && requests("reports", "ok") == 0)
        #expect(requests("billing", "caller_not_allowed") == 1 && requests("billing", "invalid_scope") == 1)
        #expect(requests("(unknown)", "invalid_caller") == 3)
        let labels = "{caller=\"billing\",audience=\"\(API.audience)\",outcome=\"ok\"}"
        #expect(metrics["token_broker_caller_audience_requests_total\(labels)"] == 6)
        #expect(!metrics.keys.contains { $0.contains("no-such-api") })
      }
    }

    @Test("What is left of a month's allotment is told, and there is a line when it is down to its reserve")
    func budget() async throws {
      let text = "budget: {monthlyMints: 3, reserve: 1}\n"
      try await withBroker(configuration: text) { _, broker in
        for scope in ["", "?scope=read:a", "?scope=write:a"] { _ = try await broker.token(API.audience + scope) }
        let report = try await Answer.curl([broker.adminURL + "/status.json"]).json
        let budget = (report["clients"] as? [[String: Any]])?.first?["budget"] as? [String: Any]
        #expect(budget?["limit"] as? Int == 3 && budget?["used"] as? Int == 3 && budget?["reserve"] as? Int == 1)
        #expect((budget?["month"] as? String)?.wholeMatch(of: /2\d\d\d-(0[1-9]|1[012])/) != nil)
        let metrics = try await broker.metrics()
        #expect(metrics["token_broker_budget_remaining{client=\"default\"}"] == 0)
        #expect(metrics["token_broker_budget_limit{client=\"default\"}"] == 3)
        try await broker.child.wait(forLog: "the month's allotment is used up")
        let lines = broker.child.errors.split(separator: "\n").filter { $0.contains("the month's allotment") }
        #expect(lines.count == 2 && lines[0].contains("is down to its reserve"), "\(lines)")
      }
    }

    @Test("The report shows a refresh that fails while the token is still good, and that it has recovered")
    func failingRefresh() async throws {
      try await withTenant { tenant in
        let broker = try await tenant.broker(configuration: "cache: {minRefreshInterval: 1s}")
        let first = try await broker.token(API.audience).token
        tenant.tenant.setFailing(share: 1)
        // Until the token is old enough to be replaced on demand.
        for _ in 0..<1000 where tenant.tenant.statistics.tokenRequests < 2 {
          #expect(try await broker.token(API.audience, "-H", "Cache-Control: no-cache").token == first)
        }
        let failing = try await report(broker)
        let failure = try #require(failing.audiences.first?.lastFailure)
        #expect(failing.audiences.first?.state == "refresh_failing" && failing.condition == "attention")
        #expect(failure.error == "upstream_unavailable" && failure.isCurrent && failing.problems.count == 1)

        tenant.tenant.setFailing(share: 0)
        for _ in 0..<1000 where tenant.tenant.statistics.mints < 2 {
          _ = try await broker.token(API.audience, "-H", "Cache-Control: no-cache")
        }
        let well = try await report(broker)
        #expect(well.audiences.first?.state == "held" && well.condition == "ok")
        #expect(well.audiences.first?.lastFailure?.isCurrent == false)
      }
    }

    @Test(
      "Whatever goes wrong is in the report, and neither page holds a token, a secret or a caller's key",
      arguments: Fault.groups)
    func leaks(_ faults: [Fault]) async throws {
      let callers = TestCallers()
      // Its last caller, which asks, may name any organization.
      try await withBroker(configuration: callers.text + "    organizations: ['*']\n") { tenant, broker in
        let answers = try await broker.provoke(faults, ["-H", callers.reportsProof])
        let seen = try await report(broker)
        if faults[0].isClosing {
          #expect(seen.clients.first?.block != nil && seen.condition != "ok")
        } else {
          for (fault, answer) in answers {
            let row = seen.audiences.first { $0.audience == fault.audience }
            #expect(row?.state == (fault.isHarmless ? "held" : "failing"), "\(fault)")
            let wider = ["upstream_glitch": "invalid_upstream_response", "unknown_organization": "invalid_request"]
            #expect(row?.lastFailure.map { wider[$0.error] ?? $0.error } == answer.error, "\(fault)")
          }
        }
        for path in ["/status", "/status.json"] {
          let body = try await Answer.curl([broker.adminURL + path]).body
          #expect(body.count > 1000)
          for secret in [tenant.secret, callers.reports, "eyJ", "opaque-token"] + answers.compactMap(\.answer.token) {
            #expect(!body.contains(secret), "\(path) holds \(secret.prefix(12))")
          }
        }
      }
    }

    @Test("The page loads nothing from elsewhere, and its policy lets in only what is in it")
    func page() async throws {
      try await withBroker { _, broker in
        let answer = try await Answer.curl([broker.adminURL + "/status"])
        #expect(answer.status == 200 && answer.field("content-type") == "text/html; charset=utf-8")
        #expect(answer.field("cache-control") == "no-store" && answer.field("x-content-type-options") == "nosniff")
        let policy = try #require(answer.field("content-security-policy"))
        let script = try #require(answer.body.firstMatch(of: /<script>([\s\S]*)<\/script>/)?.1)
        let style = try #require(answer.body.firstMatch(of: /<style>([\s\S]*)<\/style>/)?.1)
        for (name, text) in [("script-src", script), ("style-src", style)] {
          let hash = Data(SHA256.hash(data: Data(text.utf8))).base64EncodedString()
          #expect(policy.contains("\(name) 'sha256-\(hash)';"))
        }
        #expect(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"))
        #expect(!policy.contains("unsafe") && !answer.body.contains("innerHTML"))
        // SVG's name of its elements is the only address in it.
        let addresses = Set(answer.body.matches(of: /https?:\/\/[^"'` $]+/).map { String($0.0) })
        #expect(addresses.allSatisfy { $0.hasPrefix("http://www.w3.org/") || $0 == "http://localhost" }, "\(addresses)")
      }
    }

    @Test(
      "The status is on the admin listener only, to be read and nothing else", arguments: ["/status", "/status.json"])
    func routes(_ path: String) async throws {
      try await withBroker { _, broker in
        #expect(try await Answer.curl([broker.url + path]).status == 404)
        #expect(try await Answer.curl([broker.adminURL + path, "-X", "POST"]).status == 405)
        let head = try await Answer.curl([broker.adminURL + path, "--head"])
        #expect(head.status == 200 && head.body.isEmpty)
        #expect(head.field("access-control-allow-origin") == nil)
      }
    }

    private struct Sight: Decodable {
      let empty: String
      let title: String
      let row: String
      let life: String
      let html: String
      let overflow: [String: Int]
    }

    private struct SecondSight: Decodable {
      let title: String
      let problem: String
      let complaints: [String]
    }

    @Test("A real browser shows a mint by itself, complains of nothing, and tells when the broker is gone")
    func browser() async throws {
      let script = Repository.path("Tests/IntegrationTests/Clients/browser.py")
      let hostile = "https://x/\"><img src=x onerror=alert(1)><script>alert(2)</script>&amp;\u{202E}"
      try await withBroker { tenant, broker in
        let browser = try ChildProcess(
          "/usr/bin/python3", [script, broker.adminURL + "/status", broker.url + "/token", API.audience, hostile])
        let lines = try await browser.wait(for: "what it sees", timeout: .seconds(90)) { child in
          let output = child.output
          let isWhole = output.count { $0 == "\n" } >= 2
          return isWhole || !child.errors.isEmpty ? output.split(separator: "\n").map { Data($0.utf8) } : nil
        }
        try #require(lines.count >= 2, "\(browser.errors)")
        let sight = try JSONDecoder().decode(Sight.self, from: lines[0])
        #expect(sight.empty.contains("curl \(broker.url)/token/"))
        #expect(sight.title == "Healthy · token-broker")
        #expect(sight.row.contains(API.audience) && sight.row.contains("Held"))
        #expect(Int(sight.life).map { (98...100).contains($0) } == true)
        #expect(!sight.html.contains("eyJ") && !sight.html.contains(tenant.secret))
        #expect(sight.overflow.count == 4 && sight.overflow.values.allSatisfy { $0 == 0 }, "\(sight.overflow)")
        // What is foreign stays text, and is shown as it is.
        let second = try JSONDecoder().decode(SecondSight.self, from: lines[1])
        #expect(second.title == "Healthy · token-broker" && second.complaints.isEmpty, "\(second.complaints)")
        #expect(second.problem.contains("The tenant said: access_denied: Service not enabled within domain"))

        // What is mended is tried again by a button.
        tenant.tenant.accept(secrets: ["another"])
        #expect(try await broker.token("https%3A%2F%2Fledger.example.com%2F").status == 502)
        _ = try await browser.wait(for: "what a try comes to") { $0.output.contains("\"tried\"") }
        tenant.tenant.accept(secrets: [tenant.secret])
        let mended = try await browser.wait(for: "the problem to be gone") { child in
          child.output.split(separator: "\n").first { $0.contains("\"mended\"") }
        }
        #expect(!mended.contains("credentials") && mended.contains("\"complaints\": []"), "\(mended)")

        broker.child.signal(SIGTERM)
        let status = try await browser.end(timeout: .seconds(60))
        #expect(status == 0, "\(browser.errors)")
        #expect(
          browser.output.split(separator: "\n").last?.contains(API.audience) == true, "what was so is still shown")
      }
    }
  }
}
