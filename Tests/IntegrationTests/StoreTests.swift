import Basics
import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// Brokers that share a store: the real binary, Debian's redis-server, and files.
  @Suite struct StoreTests {
    private static let api = "https%3A%2F%2Fapi.example.com%2F"

    private static func request(_ path: String) -> String { "GET /token/\(path) HTTP/1.1\r\nHost: a\r\n\r\n" }

    /// Names of APIs that the tenant knows, and what follows `/token/` for each.
    private static func apis(_ count: Int) -> (audiences: [String: [String]], paths: [String]) {
      let names = (0..<count).map { "https://api-\($0).example.com/" }
      return (Dictionary(uniqueKeysWithValues: names.map { ($0, []) }), names)
    }

    private static func brokers(
      _ count: Int, _ tenant: Tenant, _ environment: [String: String]
    ) async throws -> [BrokerProcess] {
      var brokers: [BrokerProcess] = []
      for _ in 0..<count {
        brokers.append(try await BrokerProcess(environment: tenant.environment.merging(environment) { $1 }))
      }
      return brokers
    }

    private static func end(_ brokers: [BrokerProcess]) async throws {
      for broker in brokers { broker.child.signal(SIGTERM) }
      for broker in brokers { try await broker.child.end() }
    }

    /// Asks each broker for each path, over one connection each; returns all tokens by path. Throws for any error.
    @discardableResult
    private static func tokens(_ paths: [String], from brokers: [BrokerProcess]) async throws -> [String: Set<String>] {
      var tokens: [String: Set<String>] = [:]
      let clients = try brokers.flatMap { broker in
        try (0..<8).map { _ in try RawClient(port: broker.port, timeout: 60) }
      }
      for start in stride(from: 0, to: paths.count, by: 8) {
        let batch = Array(paths[start..<min(start + 8, paths.count)])
        // Each of the batch from every broker at once.
        for index in clients.indices where index % 8 < batch.count {
          try clients[index].send(request(batch[index % 8]))
        }
        for index in clients.indices where index % 8 < batch.count {
          let answer = try await clients[index].readResponse()
          guard let token = answer.body.firstMatch(of: /"access_token":"([^"]+)"/) else {
            throw ChildProcess.Failure(description: "\(answer.head)\n\(answer.body)")
          }
          tokens[batch[index % 8], default: []].insert(String(token.1))
        }
      }
      return tokens
    }

    // MARK: Redis

    @Test("A thousand callers of three brokers, on a cold audience, cost one mint")
    func coldAudience() async throws {
      let redis = try await RedisServer()
      try await withTenant { tenant in
        let brokers = try await Self.brokers(3, tenant, ["BROKER_STORE": redis.url])
        tenant.tenant.setLatency(.seconds(1))
        let clients = try (0..<1000).map { try RawClient(port: brokers[$0 % 3].port, timeout: 60) }
        for client in clients { try client.send(Self.request(Self.api)) }
        var tokens: Set<String> = []
        for client in clients {
          let answer = try await client.readResponse()
          #expect(answer.head.hasPrefix("HTTP/1.1 200 "), "\(answer.body)")
          tokens.insert(answer.body.firstMatch(of: /"access_token":"([^"]+)"/).map { String($0.1) } ?? "")
        }
        #expect(tokens.count == 1 && tenant.tenant.statistics.mints == 1)
        try await Self.end(brokers)
      }
    }

    @Test("Two hundred audiences cost three brokers two hundred mints, and a rolling restart none")
    func rollingRestart() async throws {
      let redis = try await RedisServer()
      let (audiences, paths) = Self.apis(200)
      try await withTenant({ $0.audiences = audiences }) { tenant in
        let brokers = try await Self.brokers(3, tenant, ["BROKER_STORE": redis.url])
        let tokens = try await Self.tokens(paths, from: brokers)
        #expect(tokens.values.allSatisfy { $0.count == 1 })
        #expect(tenant.tenant.statistics.mints == 200)
        for broker in brokers {
          let successor = try await Self.brokers(1, tenant, ["BROKER_STORE": redis.url])
          try await Self.end([broker])
          #expect(try await Self.tokens(paths, from: successor) == tokens)
          try await Self.end(successor)
        }
        #expect(tenant.tenant.statistics.mints == 200)
      }
    }

    @Test("One broker's 429 silences all, and so does its refusal")
    func sharedFailures() async throws {
      let redis = try await RedisServer()
      try await withTenant { tenant in
        let brokers = try await Self.brokers(3, tenant, ["BROKER_STORE": redis.url])
        tenant.tenant.play([.serviceNotEnabled], for: "https://ledger.example.com/")
        for broker in brokers { #expect(try await broker.token("https://ledger.example.com/").status == 404) }
        #expect(tenant.tenant.statistics.tokenRequests == 1)
        tenant.tenant.play([.rateLimitedSeconds], for: "https://api.example.com/")
        for broker in brokers {
          let answer = try await broker.token(Self.api)
          #expect(answer.status == 503 && answer.error == "upstream_rate_limited")
          #expect(answer.field("retry-after").flatMap { Int($0) }.map { (20...30).contains($0) } == true)
        }
        #expect(tenant.tenant.statistics.tokenRequests == 2)
        // Whoever is new hears of it, too.
        let late = try await Self.brokers(1, tenant, ["BROKER_STORE": redis.url])
        #expect(try await late[0].token("https://api.example.com").error == "upstream_rate_limited")
        #expect(tenant.tenant.statistics.tokenRequests == 2)
        try await Self.end(brokers + late)
      }
    }

    @Test("A broker that is killed while it asks the tenant is replaced by the next within seconds")
    func deadHolder() async throws {
      let redis = try await RedisServer()
      try await withTenant { tenant in
        let brokers = try await Self.brokers(2, tenant, ["BROKER_STORE": redis.url])
        tenant.tenant.setLatency(.seconds(20))
        let doomed = try RawClient(port: brokers[0].port)
        try doomed.send(Self.request(Self.api))
        await tenant.wait { $0.tokenRequests == 1 }
        // Renewed for longer than a lease lasts, it still has the claim.
        let heir = try RawClient(port: brokers[1].port, timeout: 60)
        try heir.send(Self.request(Self.api))
        try await redis.wait(for: "claim") { try await !$0.keys("*:claim").isEmpty }
        brokers[0].child.signal(SIGKILL)
        let killed = Instant.now
        tenant.tenant.setLatency(.zero)
        let answer = try await heir.readResponse()
        let took = killed.duration(to: .now)
        #expect(answer.head.hasPrefix("HTTP/1.1 200 "))
        print("the next mint came \(took) after the holder's death; the lease is 3 s")
        #expect(took < .seconds(10) && tenant.tenant.statistics.tokenRequests == 2)
        try await Self.end([brokers[1]])
      }
    }

    @Test("A claim is kept for as long as its holder asks, beyond its lease")
    func renewal() async throws {
      let redis = try await RedisServer()
      try await withTenant { tenant in
        let brokers = try await Self.brokers(2, tenant, ["BROKER_STORE": redis.url])
        tenant.tenant.setLatency(.seconds(5))
        let clients = try brokers.map { try RawClient(port: $0.port, timeout: 60) }
        for client in clients { try client.send(Self.request(Self.api)) }
        for client in clients { #expect(try await client.readResponse().head.hasPrefix("HTTP/1.1 200 ")) }
        #expect(tenant.tenant.statistics.tokenRequests == 1)
        try await Self.end(brokers)
      }
    }

    @Test(
      "Redis killed, empty, paused, full and gone under load: no caller sees it, and each broker mints once at most")
    func troubles() async throws {
      let redis = try await RedisServer(["--maxmemory-policy", "noeviction"])
      let (audiences, paths) = Self.apis(20)
      try await withTenant({ $0.audiences = audiences }) { tenant in
        let brokers = try await Self.brokers(3, tenant, ["BROKER_STORE": redis.url])
        try await Self.tokens(paths, from: brokers)
        #expect(tenant.tenant.statistics.mints == 20)
        let troubles: [(String, (RedisServer) async throws -> Void)] = [
          ("wiped", { _ = try await $0.ask("FLUSHALL") }),
          ("paused", { $0.pause() }), ("resumed", { $0.resume() }),
          ("killed", { try await $0.kill() }), ("restarted", { try await $0.restart() }),
          ("full", { _ = try await $0.ask("CONFIG", "SET", "maxmemory", "1") }),
          ("roomy", { _ = try await $0.ask("CONFIG", "SET", "maxmemory", "0") }),
        ]
        for (name, trouble) in troubles {
          try await trouble(redis)
          // All that is asked for is held, so that nobody need ask the store or the tenant.
          for _ in 0..<5 { try await Self.tokens(paths, from: brokers) }
          #expect(tenant.tenant.statistics.mints == 20, "\(name)")
        }
        try await Self.end(brokers)
      }
    }

    @Test("Redis that does not answer keeps nobody waiting who wants what no broker holds")
    func paused() async throws {
      let redis = try await RedisServer()
      try await withTenant { tenant in
        let brokers = try await Self.brokers(1, tenant, ["BROKER_STORE": redis.url])
        try await brokers[0].wait(forLog: "the store is connected")
        redis.pause()
        // A quarter of a second would do; much longer than that, and far less than anybody's time-out for a store.
        #expect(try await brokers[0].token(Self.api, "--max-time", "5").status == 200)
        try await brokers[0].wait(forLog: "the store is out of reach")
        redis.resume()
        try await Self.end(brokers)
      }
    }

    @Test("Without Redis each broker mints for itself, once; when it is back, though empty, it is given all there is")
    func withoutStore() async throws {
      let redis = try await RedisServer()
      let (audiences, paths) = Self.apis(8)
      try await withTenant({ $0.audiences = audiences }) { tenant in
        let brokers = try await Self.brokers(3, tenant, ["BROKER_STORE": redis.url])
        try await redis.kill()
        for broker in brokers { try await broker.wait(forLog: "the store is out of reach") }
        try await Self.tokens(paths, from: brokers)
        #expect((8...24).contains(tenant.tenant.statistics.mints))
        let mints = tenant.tenant.statistics.mints
        try await redis.restart()
        try await redis.wait(for: "token of each audience") { try await $0.ask("DBSIZE") == "8" }
        let successor = try await Self.brokers(1, tenant, ["BROKER_STORE": redis.url])
        try await Self.tokens(paths, from: successor)
        #expect(tenant.tenant.statistics.mints == mints)
        try await Self.end(brokers + successor)
      }
    }

    @Test("Redis' operator learns no token, audience or secret, and cannot make a broker believe what is not so")
    func operatorOfRedis() async throws {
      let redis = try await RedisServer()
      try await withTenant { tenant in
        let brokers = try await Self.brokers(1, tenant, ["BROKER_STORE": redis.url])
        let one = try await brokers[0].token(Self.api)
        let other = try await brokers[0].token("https://ledger.example.com/")
        try await redis.wait(for: "two values") { try await $0.keys("*").count == 2 }
        let keys = try await redis.keys("*")
        var dump = keys.joined()
        for key in keys { dump += try await redis.ask("GET", key) }
        for secret in [one.token, other.token, "api.example.com", "ledger", tenant.secret, tenant.tenant.clientID] {
          #expect(!dump.contains(try #require(secret)))
        }
        #expect(one.token.map { dump.contains($0.prefix(20)) } == false)

        // Swapped, each opens for the other only; a flipped bit opens for none.
        let damages: [(String, [String])] = [
          ("swapped", ["EVAL", Self.swap, "2", keys[0], keys[1]]),
          ("flipped", ["EVAL", Self.flip, "2", keys[0], keys[1]]),
        ]
        for (index, (name, damage)) in damages.enumerated() {
          try await redis.ask(damage)
          let fresh = try await Self.brokers(1, tenant, ["BROKER_STORE": redis.url])
          let answers = [try await fresh[0].token(Self.api), try await fresh[0].token("https://ledger.example.com/")]
          #expect(answers.map(\.status) == [200, 200], "\(name)")
          #expect(tenant.tenant.statistics.mints == 2 * (index + 2), "\(name)")
          try await Self.end(fresh)
        }
        try await Self.end(brokers)
      }
    }

    private static let swap =
      "local a, b = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])"
      + " redis.call('SET', KEYS[1], b) redis.call('SET', KEYS[2], a)"
    private static let flip =
      "for i = 1, 2 do local v = redis.call('GET', KEYS[i])"
      + " redis.call('SET', KEYS[i], v:sub(1, 40) .. string.char(bit.bxor(v:byte(41), 1)) .. v:sub(42)) end"

    @Test("An old token that is put back into Redis does not take the place of a newer one")
    func replayed() async throws {
      let redis = try await RedisServer()
      try await withTenant { tenant in
        let environment = [
          "BROKER_STORE": redis.url, "BROKER_CONFIG": try tenant.file("c.yaml", "cache: {minRefreshInterval: 1s}"),
        ]
        let brokers = try await Self.brokers(1, tenant, environment)
        let old = try await brokers[0].token(Self.api)
        try await redis.wait(for: "the value") { try await $0.keys("*").count == 1 }
        let key = try await redis.keys("*")[0]
        try await redis.ask("COPY", key, "copy")
        let new = try await Self.newToken(brokers[0], than: old)
        try await redis.wait(for: "the new value") { try await $0.ask("GET", key) != $0.ask("GET", "copy") }
        try await redis.ask("COPY", "copy", key, "REPLACE")
        let newest = try await Self.newToken(brokers[0], than: new)
        #expect(newest.token != old.token)
        #expect(tenant.tenant.statistics.mints == 3)
        try await Self.end(brokers)
        // Not even for the moment until the tenant had answered.
        #expect(!brokers[0].child.errors.contains("token taken over"))
      }
    }

    /// Asks for a new token until there is one: at first the current one is the newest there is.
    private static func newToken(_ broker: BrokerProcess, than old: Answer) async throws -> Answer {
      let deadline = Instant.now.advanced(by: .seconds(20))
      while Instant.now < deadline {
        let answer = try await broker.token(api, "--header", "Cache-Control: no-cache")
        #expect(answer.status == 200)
        if answer.token != old.token { return answer }
      }
      throw ChildProcess.Failure(description: "there was no new token")
    }

    // MARK: A file

    @Test("A restart costs no mint, and not even the tenant's being away is noticed")
    func file() async throws {
      try await withTenant { tenant in
        let environment = ["BROKER_STORE": "file:\(try tenant.file("directory", "").dropLast("directory".count))tokens"]
        var brokers = try await Self.brokers(1, tenant, environment)
        let token = try #require(try await brokers[0].token(Self.api).token)
        try await Self.end(brokers)
        let path = try #require(environment["BROKER_STORE"]).dropFirst("file:".count)
        let contents = String(decoding: try Data(contentsOf: URL(fileURLWithPath: String(path))), as: UTF8.self)
        for secret in [token, "api.example.com", tenant.secret] { #expect(!contents.contains(secret)) }
        tenant.tenant.stop()
        brokers = try await Self.brokers(1, tenant, environment)
        let again = try await brokers[0].token(Self.api)
        #expect(again.status == 200 && again.token == token)
        #expect(tenant.tenant.statistics.mints == 1)
        // What it does not hold it cannot get.
        #expect(try await brokers[0].token("https://ledger.example.com/").status == 503)
        try await Self.end(brokers)
      }
    }

    /// Of the broker; more with `KILLS`.
    private static let kills = ProcessInfo.processInfo.environment["KILLS"].flatMap { Int($0) } ?? 25

    @Test("Killed at any moment while it saves, a broker starts again with no more than one mint for each audience")
    func killed() async throws {
      let (audiences, paths) = Self.apis(8)
      try await withTenant({ $0.audiences = audiences }) { tenant in
        let path = try tenant.file("tokens", "")
        try FileManager.default.removeItem(atPath: path)
        let environment = ["BROKER_STORE": "file:\(path)"]
        var random = SystemRandomNumberGenerator()
        for _ in 0..<Self.kills {
          let before = tenant.tenant.statistics.mints
          let brokers = try await Self.brokers(1, tenant, environment)
          // Some are had, others are under way when it dies.
          let count = Int.random(in: 0...8, using: &random)
          try await Self.tokens(Array(paths.prefix(count)), from: brokers)
          let client = try RawClient(port: brokers[0].port)
          for path in paths.dropFirst(count) { try? client.send(Self.request(path)) }
          brokers[0].child.signal(SIGKILL)
          try await brokers[0].child.end()
          #expect(!brokers[0].child.errors.contains("set aside"))
          #expect(tenant.tenant.statistics.mints - before <= 8)
        }
        print("\(Self.kills) kills, \(tenant.tenant.statistics.mints) mints of 8 audiences")
        let brokers = try await Self.brokers(1, tenant, environment)
        try await Self.tokens(paths, from: brokers)
        try await Self.end(brokers)
        let mints = tenant.tenant.statistics.mints
        let last = try await Self.brokers(1, tenant, environment)
        try await Self.tokens(paths, from: last)
        #expect(tenant.tenant.statistics.mints == mints)
        try await Self.end(last)
      }
    }
  }
}
