import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// Tokens that an operator throws away, and those that an operator has tried again.
  @Suite struct PurgeTests {
    private func purge(_ broker: BrokerProcess, _ path: String, _ arguments: String...) async throws -> Answer {
      try await Answer.curl(["\(broker.adminURL)/tokens\(path)", "-X", "DELETE"] + arguments)
    }

    /// The tenant's tokens differ by the second in which they are minted: there is nothing but time to wait for.
    private func nextSecond() async throws {
      func second() -> Int { Int(Date().timeIntervalSince1970) }
      let now = second()
      try await eventually("the next second") { second() != now }
    }

    @Test("Those of an audience are thrown away, in every scope, by either method", arguments: ["DELETE", "POST"])
    func audience(_ method: String) async throws {
      try await withBroker { tenant, broker in
        let paths = [API.path, "\(API.path)?scope=read%3Aa", "https%3A%2F%2Fledger.example.com%2F"]
        var before: [String?] = []
        for path in paths { before.append(try await broker.token(path).token) }
        try await nextSecond()
        let answer = try await purge(broker, "/\(API.path)", "-X", method)
        #expect(answer.status == 200 && answer.body == #"{"dropped":2,"kept":0,"mints":2}"#)
        #expect(answer.field("cache-control") == "no-store")
        var after: [String?] = []
        for path in paths { after.append(try await broker.token(path).token) }
        #expect(after[0] != before[0] && after[1] != before[1] && after[2] == before[2])
        #expect(tenant.tenant.statistics.mints == 5)
        try await broker.child.wait(forLog: "tokens dropped on demand")
        let line = try #require(broker.child.errors.split(separator: "\n").first { $0.contains("on demand") })
        for part in [#""audience":"https://api.example.com/""#, #""dropped":2"#, #""mints":2"#, "request_id"] {
          #expect(line.contains(part), "\(line)")
        }
        // Their successors are as fresh as can be.
        #expect(try await purge(broker, "/\(API.path)").body == #"{"dropped":0,"kept":2,"mints":0}"#)
        #expect(try await broker.token(API.path).token == after[0])
      }
    }

    @Test("Those of a client are thrown away, and no other's")
    func client() async throws {
      try await withTenant { tenant in
        let text = """
          clients: {second: {domain: "\(tenant.tenant.baseURL)", clientId: \(tenant.tenant.clientID), \
          clientSecret: \(tenant.secret), caFile: \(tenant.environment["AUTH0_CA_FILE"] ?? "")}}
          audiences: ["https://api.example.com/", {audience: "https://ledger.example.com/", client: second}]
          """
        let broker = try await tenant.broker(configuration: text)
        let paths = [API.path, "https%3A%2F%2Fledger.example.com%2F"]
        var before: [String?] = []
        for path in paths { before.append(try await broker.token(path).token) }
        try await nextSecond()
        let answer = try await purge(broker, "?client=second")
        #expect(answer.status == 200 && answer.json["dropped"] as? Int == 1)
        #expect(try await broker.token(paths[0]).token == before[0])
        #expect(try await broker.token(paths[1]).token != before[1])
        let unknown = try await purge(broker, "?client=third")
        #expect(unknown.status == 404 && unknown.body.contains("default, second"))
        try await broker.end()
      }
    }

    @Test(
      "What names neither an audience nor a client, or comes from a web page, throws nothing away",
      arguments: [
        ("", [], 400), ("?client=", [], 400), ("?all=1", [], 400), ("?client=default&client=default", [], 400),
        ("/", [], 400), ("/%ff", [], 400), ("/\(API.path)?scope=a", [], 400), ("?client=default", ["-X", "GET"], 405),
        ("?client=default", ["-X", "POST", "-H", "Origin: http://127.0.0.1:8081"], 403),
        ("?client=default", ["-X", "POST", "-H", "Origin: null"], 403),
        ("/\(API.path)", ["-H", "Sec-Fetch-Site: cross-site"], 403),
      ] as [(String, [String], Int)])
    func refused(_ path: String, _ arguments: [String], _ status: Int) async throws {
      try await withBroker { _, broker in
        let token = try await broker.token(API.path).token
        let answer = try await Answer.curl(["\(broker.adminURL)/tokens\(path)", "-X", "DELETE"] + arguments)
        #expect(answer.status == status, "\(answer.body)")
        #expect(try await broker.token(API.path).token == token)
      }
    }

    @Test("The main listener throws nothing away")
    func mainListener() async throws {
      try await withBroker { _, broker in
        let answer = try await Answer.curl(["\(broker.url)/tokens/\(API.path)", "-X", "DELETE"])
        #expect(answer.status == 404)
      }
    }

    @Test("The store gives back nothing that was thrown away, neither here nor to a broker that starts later")
    func store() async throws {
      let redis = try await RedisServer()
      try await withTenant { tenant in
        func start() async throws -> BrokerProcess { try await tenant.broker(["BROKER_STORE": redis.url]) }
        let (first, second) = try await (start(), start())
        let old = try #require(try await first.token(API.path).token)
        try await redis.wait(for: "the value") { try await $0.keys("*").count == 1 }
        let stored = try await redis.ask("GET", redis.keys("*")[0])
        #expect(try await second.token(API.path).token == old)

        try await nextSecond()
        let answer = try await purge(first, "/\(API.path)")
        #expect(answer.body == #"{"dropped":1,"kept":0,"mints":1,"store":"cleared"}"#)
        let third = try await start()
        let new = try #require(try await third.token(API.path).token)
        #expect(new != old)
        try await redis.wait(for: "the new value") { server in
          let keys = try await server.keys("*")
          if keys.count != 1 { return false }
          return try await server.ask("GET", keys[0]) != stored
        }
        #expect(try await first.token(API.path).token == new)

        // What other brokers hold is theirs to throw away: it costs no mint, for the new one is there.
        #expect(try await second.token(API.path).token == old)
        #expect(try await purge(second, "/\(API.path)").json["dropped"] as? Int == 1)
        #expect(try await second.token(API.path).token == new)
        #expect(tenant.tenant.statistics.mints == 2)
        for broker in [first, second, third] { try await broker.end() }
      }
    }

    @Test("A token that this broker does not hold is thrown out of the store all the same")
    func onlyInStore() async throws {
      try await withTenant { tenant in
        let store = ["BROKER_STORE": "file:\(try tenant.file("directory", "").dropLast("directory".count))tokens"]
        var broker = try await tenant.broker(store)
        let old = try #require(try await broker.token(API.path).token)
        try await broker.end()
        broker = try await tenant.broker(store)
        try await nextSecond()
        let answer = try await purge(broker, "/\(API.path)")
        #expect(answer.json["dropped"] as? Int == 0 && answer.json["store"] as? String == "cleared")
        #expect(try await broker.token(API.path).token != old)
        try await broker.end()
      }
    }

    // MARK: Trying again

    private func retry(_ broker: BrokerProcess, _ path: String = API.path) async throws -> Answer {
      try await Answer.curl(["\(broker.adminURL)/retry/\(path)", "-X", "POST"])
    }

    @Test("Where nothing has failed nothing is tried again, and what nobody has asked for costs no mint")
    func unneeded() async throws {
      try await withBroker { tenant, broker in
        #expect(try await retry(broker).body == #"{"outcome":"unneeded"}"#)
        _ = try await broker.token(API.path)
        #expect(try await retry(broker).body == #"{"outcome":"unneeded"}"#)
        #expect(tenant.tenant.statistics.tokenRequests == 1)
        #expect(try await Answer.curl(["\(broker.adminURL)/retry/\(API.path)"]).status == 405)
        #expect(try await Answer.curl(["\(broker.url)/retry/\(API.path)", "-X", "POST"]).status == 404)
      }
    }

    @Test("What is mended at the tenant is tried at once, with a store and without", arguments: [false, true])
    func retried(_ hasStore: Bool) async throws {
      try await withTenant { tenant in
        let place = "file:\(try tenant.file("directory", "").dropLast("directory".count))tokens"
        let broker = try await tenant.broker(hasStore ? ["BROKER_STORE": place] : [:])
        let old = try #require(try await broker.token(API.path).token)
        tenant.tenant.accept(secrets: ["another"])
        let other = "https%3A%2F%2Fledger.example.com%2F"
        #expect(try await broker.token(other).status == 502)
        try await nextSecond()
        let refused = try await retry(broker, other)
        #expect(refused.status == 200 && refused.json["outcome"] as? String == "failed")
        #expect(refused.json["error"] as? String == "broker_misconfigured" && !refused.body.contains(tenant.secret))

        tenant.tenant.accept(secrets: [tenant.secret])
        #expect(try await broker.token(other).status == 502, "nobody tries yet")
        try await nextSecond()
        try await nextSecond()
        #expect(try await retry(broker, other).body == #"{"outcome":"minted"}"#)
        #expect(try await broker.token(other).status == 200)
        #expect(try await broker.token(API.path).token == old)
        try await broker.child.wait(forLog: "asked again on demand", times: 2)
        try await broker.end()
      }
    }
  }
}
