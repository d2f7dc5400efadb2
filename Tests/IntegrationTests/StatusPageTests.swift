import Crypto
import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// What people see of a broker: `/status` and `/status.json`.
  @Suite struct StatusPageTests {
    private static let api = "https://api.example.com/"

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

      let condition: String
      let problems: [Problem]
      let now: Double
      let audiences: [Audience]
      let clients: [Client]
      let traffic: [Minute]
      let listeners: [Listener]
      let callers: Int?
    }

    private func report(_ broker: BrokerProcess) async throws -> Report {
      let answer = try await Answer.curl([broker.adminURL + "/status.json"])
      #expect(answer.status == 200 && answer.field("content-type") == "application/json")
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      return try decoder.decode(Report.self, from: Data(answer.body.utf8))
    }

    @Test("A mint is told of at once, and each answer from memory, whichever event loop gave it")
    func mint() async throws {
      try await withBroker(["BROKER_WORKERS": "2"]) { tenant, broker in
        let empty = try await report(broker)
        #expect(empty.condition == "ok" && empty.audiences.isEmpty && empty.callers == nil)
        #expect(empty.listeners.map(\.isAdmin) == [false, true])

        _ = try await broker.token(Self.api)
        let minted = try await report(broker)
        let row = try #require(minted.audiences.first)
        #expect(row.audience == Self.api && row.state == "held" && row.hits == 0)
        #expect(abs((row.mintedAt ?? 0) - minted.now) < 60 && abs((row.expiresAt ?? 0) - minted.now - 86400) < 60)
        #expect(row.nextRefreshAt.map { $0 > minted.now && $0 < minted.now + 86400 } == true)
        let client = try #require(minted.clients.first)
        #expect(client.name == "default" && client.minted == 1 && client.outcomes == ["ok": 1])
        #expect(client.secrets.count == 1 && client.secrets[0].acceptedAt != nil && client.block == nil)
        #expect(client.keySet?.keys.map(\.alg) == ["RS256"] && client.keySet?.fetchedAt != nil)
        #expect(client.quotas.map(\.name) == ["per_day", "per_hour"] && client.quotas.allSatisfy { $0.remaining > 0 })

        // More connections than loops, so that both loops have some.
        let clients = try (0..<16).map { _ in try RawClient(port: broker.port, timeout: 30) }
        for path in [Self.api, Self.api + "?scope=read:a"] {
          for _ in 0..<20 {
            for client in clients { try client.send("GET /token/\(path) HTTP/1.1\r\nHost: a\r\n\r\n") }
            for client in clients { _ = try await client.readResponse() }
          }
        }
        let used = try await report(broker)
        #expect(used.audiences.map(\.hits) == [320, 319] && used.audiences.map(\.scope) == [nil, "read:a"])
        #expect(used.traffic.map(\.ok).reduce(0, +) == 641 && used.traffic.last?.p99 != nil)
      }
    }

    @Test("A refresh that fails is seen while the token is still good, and that it has recovered")
    func failingRefresh() async throws {
      try await withTenant { tenant in
        let file = try tenant.file("broker.yaml", "cache: {minRefreshInterval: 1s}")
        let broker = try await BrokerProcess(environment: tenant.environment.merging(["BROKER_CONFIG": file]) { $1 })
        let first = try await broker.token(Self.api).token
        tenant.tenant.setFailing(share: 1)
        // Until the token is old enough to be replaced on demand.
        for _ in 0..<1000 where tenant.tenant.statistics.tokenRequests < 2 {
          #expect(try await broker.token(Self.api, "-H", "Cache-Control: no-cache").token == first)
        }
        let failing = try await report(broker)
        let failure = try #require(failing.audiences.first?.lastFailure)
        #expect(failing.audiences.first?.state == "refresh_failing" && failing.condition == "attention")
        #expect(failure.error == "upstream_unavailable" && failure.isCurrent && failing.problems.count == 1)

        tenant.tenant.setFailing(share: 0)
        for _ in 0..<1000 where tenant.tenant.statistics.mints < 2 {
          _ = try await broker.token(Self.api, "-H", "Cache-Control: no-cache")
        }
        let well = try await report(broker)
        #expect(well.audiences.first?.state == "held" && well.condition == "ok")
        #expect(well.audiences.first?.lastFailure?.isCurrent == false)
      }
    }

    @Test("Neither page holds a token, a secret or a caller's key, whatever went well or wrong")
    func leaks() async throws {
      let callers = TestCallers()
      try await withTenant { tenant in
        let environment = try tenant.environment.merging(callers.file(tenant)) { $1 }
        let proof = "Authorization: Bearer \(callers.reports)"
        // After some, the client asks for nothing for a while: each of these has a broker of its own.
        let closing: [Fault] = [.badCredentials, .invalidClient, .rateLimited, .quotaExceeded, .globalLimitAs500]
        let likeThem: [Fault] = [.rateLimitedSeconds, .rateLimitedDate, .globalLimit]
        let slow: [Fault] = [.stall, .slow]
        let others = Fault.allCases.filter { !(closing + likeThem + slow + [.unpublishedKey]).contains($0) }
        // While the key set has not been read, no time must pass before it is read for an unknown key.
        for faults in [[.unpublishedKey] + others] + closing.map({ [$0] }) {
          let broker = try await BrokerProcess(environment: environment)
          var secrets: Set = [tenant.secret, callers.reports, "eyJ", "opaque-token"]
          var errors: [String: String] = [:]
          for fault in faults {
            let answer = try await broker.token(fault.audience, "-H", proof)
            errors[fault.audience] = answer.error
            if let token = answer.token { secrets.insert(token) }
            if answer.error == "upstream_unavailable" {
              // Three in a row, and the tenant counts as out of reach.
              let good = try await broker.token("\(Fault.rfc9068.audience)?organization=\(fault.rawValue)", "-H", proof)
              secrets.insert(try #require(good.token))
            }
          }
          let seen = try await report(broker)
          if closing.contains(faults[0]) {
            #expect(seen.clients.first?.block != nil && seen.condition != "ok", "\(faults)")
          } else {
            for fault in faults {
              let row = seen.audiences.first { $0.audience == fault.audience }
              #expect(row?.state == (fault.isHarmless ? "held" : "failing"), "\(fault)")
              #expect(row?.lastFailure?.error == errors[fault.audience], "\(fault)")
            }
            #expect(secrets.count > 10)
          }
          for path in ["/status", "/status.json"] {
            let body = try await Answer.curl([broker.adminURL + path]).body
            #expect(body.count > 1000)
            for secret in secrets {
              #expect(!body.contains(secret), "\(path) after \(faults) holds \(secret.prefix(12))")
            }
          }
          broker.child.signal(SIGTERM)
          try await broker.child.end()
        }
      }
    }

    @Test("The page loads nothing else, and may do nothing but what is in it; only the admin listener has it")
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

        for path in ["/status", "/status.json"] {
          #expect(try await Answer.curl([broker.url + path]).status == 404)
          #expect(try await Answer.curl([broker.adminURL + path, "-X", "POST"]).status == 405)
          let head = try await Answer.curl([broker.adminURL + path, "--head"])
          #expect(head.status == 200 && head.body.isEmpty)
          #expect(head.field("access-control-allow-origin") == nil)
        }
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
      let complaints: [String]
    }

    @Test("In a real browser: a mint appears by itself, nothing is complained of, and a broker that is gone is missed")
    func browser() async throws {
      let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Clients/browser.py").path
      let hostile = "https://x/\"><img src=x onerror=alert(1)><script>alert(2)</script>&amp;\u{202E}"
      try await withBroker { tenant, broker in
        let browser = try ChildProcess(
          "/usr/bin/python3", [script, broker.adminURL + "/status", broker.url + "/token", Self.api, hostile])
        let lines = try await browser.wait(for: "what it sees", timeout: .seconds(90)) { child in
          let output = child.output
          let isWhole = output.count { $0 == "\n" } >= 2
          return isWhole || !child.errors.isEmpty ? output.split(separator: "\n").map { Data($0.utf8) } : nil
        }
        try #require(lines.count >= 2, "\(browser.errors)")
        let sight = try JSONDecoder().decode(Sight.self, from: lines[0])
        #expect(sight.empty.contains("curl \(broker.url)/token/"))
        #expect(sight.title == "Healthy · token-broker")
        #expect(sight.row.contains(Self.api) && sight.row.contains("Held"))
        #expect(Int(sight.life).map { (98...100).contains($0) } == true)
        #expect(!sight.html.contains("eyJ") && !sight.html.contains(tenant.secret))
        #expect(sight.overflow.count == 4 && sight.overflow.values.allSatisfy { $0 == 0 }, "\(sight.overflow)")
        // What is foreign stays text, and is shown as it is.
        let second = try JSONDecoder().decode(SecondSight.self, from: lines[1])
        #expect(second.title == "Needs attention · token-broker" && second.complaints.isEmpty, "\(second.complaints)")

        broker.child.signal(SIGTERM)
        let status = try await browser.end(timeout: .seconds(60))
        #expect(status == 0, "\(browser.errors)")
        #expect(browser.output.split(separator: "\n").last?.contains(Self.api) == true, "what was so is still shown")
      }
    }
  }
}
