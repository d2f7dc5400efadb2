import Basics
import DevTenant
import Foundation
import TestSupport
import Testing

extension LoadTests {
  /// Brokers that share a store: the real binary, Debian's redis-server, and files.
  @Suite struct StoreTests {
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
        brokers.append(try await tenant.broker(environment))
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
          try clients[index].send(API.request(batch[index % 8]))
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

    @Test(
      "A month's allotment is one for all that share a store, and goes on after a restart", arguments: [false, true])
    func allotment(isFile: Bool) async throws {
      let redis = try await RedisServer()
      let (audiences, paths) = Self.apis(3)
      try await withTenant({ $0.audiences = audiences }) { tenant in
        let path = try tenant.file("tokens", "")
        let environment = ["BROKER_STORE": isFile ? "file:\(path)" : redis.url, "BROKER_MONTHLY_MINTS": "10"]
        let brokers = try await Self.brokers(2, tenant, environment)
        try await Self.tokens([paths[0]], from: [brokers[0]])
        try await Self.tokens([paths[1]], from: [brokers[1]])
        for broker in brokers { try await Self.expectUse(of: 2, broker) }
        try await Self.end(brokers)
        let next = try await Self.brokers(1, tenant, environment)
        try await Self.tokens([paths[0], paths[2]], from: next)
        try await Self.expectUse(of: 3, next[0])
        #expect(try await next[0].metrics()["token_broker_budget_remaining{client=\"default\"}"] == 7)
        try await Self.end(next)
      }
    }

    /// Waits until the broker says that the fleet has minted so many.
    private static func expectUse(of count: Int, _ broker: BrokerProcess) async throws {
      try await eventually("a fleet's count of \(count)") {
        let report = try await Answer.curl([broker.adminURL + "/status.json"]).json
        let budget = (report["clients"] as? [[String: Any]])?.first?["budget"] as? [String: Any]
        return budget?["used"] as? Int == count && budget?["counted_by"] as? String == "fleet"
      }
    }

    // MARK: Redis

    @Test("A thousand callers of three brokers, on a cold audience, cost one mint")
    func coldAudience() async throws {
      let redis = try await RedisServer()
      try await withTenant { tenant in
        let brokers = try await Self.brokers(3, tenant, ["BROKER_STORE": redis.url])
        // Time for all of them to ask before there is a token.
        tenant.tenant.setLatency(.seconds(1))
        let clients = try (0..<1000).map { try RawClient(port: brokers[$0 % 3].port, timeout: 60) }
        for client in clients { try client.send(API.request()) }
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

    @Test("Three brokers mint once for each of two hundred audiences, and a rolling restart costs no mint")
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

    @Test("A refusal that one broker was given is every broker's")
    func sharedRefusal() async throws {
      let redis = try await RedisServer()
      try await withTenant { tenant in
        let brokers = try await Self.brokers(3, tenant, ["BROKER_STORE": redis.url])
        tenant.tenant.play([.serviceNotEnabled], for: "https://ledger.example.com/")
        for broker in brokers { #expect(try await broker.token("https://ledger.example.com/").status == 404) }
        #expect(tenant.tenant.statistics.tokenRequests == 1)
        try await Self.end(brokers)
      }
    }

    @Test("When the tenant limits one broker, the others and those started later ask nothing either")
    func sharedLimit() async throws {
      let redis = try await RedisServer()
      try await withTenant { tenant in
        let brokers = try await Self.brokers(3, tenant, ["BROKER_STORE": redis.url])
        tenant.tenant.play([.rateLimitedSeconds], for: API.audience)
        for broker in brokers {
          let answer = try await broker.token(API.path)
          #expect(answer.status == 503 && answer.error == "upstream_rate_limited")
          #expect(answer.field("retry-after").flatMap { Int($0) }.map { (20...30).contains($0) } == true)
        }
        let late = try await Self.brokers(1, tenant, ["BROKER_STORE": redis.url])
        #expect(try await late[0].token("https://api.example.com").error == "upstream_rate_limited")
        #expect(tenant.tenant.statistics.tokenRequests == 1)
        try await Self.end(brokers + late)
      }
    }

    @Test("When a broker is killed while it asks the tenant, the next one asks within seconds")
    func deadHolder() async throws {
      let redis = try await RedisServer()
      try await withTenant { tenant in
        let brokers = try await Self.brokers(2, tenant, ["BROKER_STORE": redis.url])
        tenant.tenant.setLatency(.seconds(20))
        let doomed = try RawClient(port: brokers[0].port)
        try doomed.send(API.request())
        await tenant.wait { $0.tokenRequests == 1 }
        // Renewed for longer than a lease lasts, it still has the claim.
        let heir = try RawClient(port: brokers[1].port, timeout: 60)
        try heir.send(API.request())
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

    @Test("A broker that asks the tenant for longer than its lease keeps its claim")
    func renewal() async throws {
      let redis = try await RedisServer()
      try await withTenant { tenant in
        let brokers = try await Self.brokers(2, tenant, ["BROKER_STORE": redis.url])
        // The lease is three seconds.
        tenant.tenant.setLatency(.seconds(5))
        let clients = try brokers.map { try RawClient(port: $0.port, timeout: 60) }
        for client in clients { try client.send(API.request()) }
        for client in clients { #expect(try await client.readResponse().head.hasPrefix("HTTP/1.1 200 ")) }
        #expect(tenant.tenant.statistics.tokenRequests == 1)
        try await Self.end(brokers)
      }
    }

    @Test(
      "Whatever happens to Redis under load, no caller of a token that is held sees it, and none is minted again")
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

    @Test("While Redis does not answer, who wants what no broker holds is served by the tenant")
    func paused() async throws {
      let redis = try await RedisServer()
      try await withTenant { tenant in
        let brokers = try await Self.brokers(1, tenant, ["BROKER_STORE": redis.url])
        try await brokers[0].child.wait(forLog: "the store is connected")
        redis.pause()
        // A quarter of a second would do; much longer than that, and far less than anybody's time-out for a store.
        #expect(try await brokers[0].token(API.path, "--max-time", "5").status == 200)
        try await brokers[0].child.wait(forLog: "the store is out of reach")
        redis.resume()
        try await Self.end(brokers)
      }
    }

    /// Runs three brokers whose Redis has gone, and which have minted what they were asked for.
    private func withoutRedis(
      _ body: (Tenant, RedisServer, [BrokerProcess], _ paths: [String]) async throws -> Void
    ) async throws {
      let redis = try await RedisServer()
      let (audiences, paths) = Self.apis(8)
      try await withTenant({ $0.audiences = audiences }) { tenant in
        let brokers = try await Self.brokers(3, tenant, ["BROKER_STORE": redis.url])
        try await redis.kill()
        for broker in brokers { try await broker.child.wait(forLog: "the store is out of reach") }
        try await Self.tokens(paths, from: brokers)
        try await body(tenant, redis, brokers, paths)
        try await Self.end(brokers)
      }
    }

    @Test("Without Redis each broker mints once for each audience")
    func withoutStore() async throws {
      try await withoutRedis { tenant, _, brokers, paths in
        try await Self.tokens(paths, from: brokers)
        #expect((8...24).contains(tenant.tenant.statistics.mints))
      }
    }

    @Test("When Redis is back, though empty, it is given what the brokers hold")
    func storeIsBack() async throws {
      try await withoutRedis { tenant, redis, _, paths in
        let mints = tenant.tenant.statistics.mints
        try await redis.restart()
        try await redis.wait(for: "token of each audience") { try await $0.ask("DBSIZE") == "8" }
        let successor = try await Self.brokers(1, tenant, ["BROKER_STORE": redis.url])
        try await Self.tokens(paths, from: successor)
        #expect(tenant.tenant.statistics.mints == mints)
        try await Self.end(successor)
      }
    }

    @Test("Where no claim can be given up nobody waits for one, and what can be shared is")
    func endlessClaims() async throws {
      let redis = try await RedisServer()
      // Without it a claim is granted, and never renewed or settled.
      try await redis.ask("ACL", "SETUSER", RedisServer.user, "-get")
      let (audiences, paths) = Self.apis(8)
      try await withTenant({ $0.audiences = audiences }) { tenant in
        let brokers = try await Self.brokers(2, tenant, ["BROKER_STORE": redis.url])
        for broker in brokers { try await broker.child.wait(forLog: "\"operation\":\"save\"") }
        let start = Instant.now
        try await Self.tokens(paths, from: [brokers[0]])
        try await redis.wait(for: "token of each audience") { try await $0.keys("*}").count >= 8 }
        try await Self.tokens(paths, from: [brokers[1]])
        // One lease is three seconds, and each audience would have cost one.
        #expect(start.duration(to: .now) < .seconds(12) && tenant.tenant.statistics.mints == 8)
        try await Self.end(brokers)
      }
    }

    @Test("A wiped Redis is given back what brokers hold within some seconds, though they stay connected")
    func wiped() async throws {
      let redis = try await RedisServer()
      let (audiences, paths) = Self.apis(8)
      try await withTenant({ $0.audiences = audiences }) { tenant in
        let brokers = try await Self.brokers(2, tenant, ["BROKER_STORE": redis.url])
        let tokens = try await Self.tokens(paths, from: brokers)
        try await redis.ask("FLUSHALL")
        let start = Instant.now
        try await redis.wait(for: "token of each audience") { try await $0.ask("DBSIZE") == "8" }
        print("what was wiped was back \(start.duration(to: .now)) later; brokers look every 4 s")
        let successor = try await Self.brokers(1, tenant, ["BROKER_STORE": redis.url])
        #expect(try await Self.tokens(paths, from: successor) == tokens)
        #expect(tenant.tenant.statistics.mints == 8)
        try await Self.end(brokers + successor)
      }
    }

    /// Runs a broker that has put two tokens into Redis, under these keys.
    private func withTwoTokens(
      _ body: (Tenant, RedisServer, _ tokens: [String], _ keys: [String]) async throws -> Void
    ) async throws {
      let redis = try await RedisServer()
      try await withTenant { tenant in
        let brokers = try await Self.brokers(1, tenant, ["BROKER_STORE": redis.url])
        var tokens: [String] = []
        for path in [API.path, "https://ledger.example.com/"] {
          tokens.append(try #require(try await brokers[0].token(path).token))
        }
        try await redis.wait(for: "two values") { try await $0.keys("*").count == 2 }
        try await body(tenant, redis, tokens, redis.keys("*"))
        try await Self.end(brokers)
      }
    }

    @Test("Redis' operator finds no token, audience, client or secret there")
    func nothingToRead() async throws {
      try await withTwoTokens { tenant, redis, tokens, keys in
        var dump = keys.joined()
        for key in keys { dump += try await redis.ask("GET", key) }
        for secret in tokens + ["api.example.com", "ledger", tenant.secret, tenant.tenant.clientID] {
          #expect(!dump.contains(secret))
        }
        #expect(!dump.contains(tokens[0].prefix(20)))
      }
    }

    /// What an operator might do to two values.
    enum Damage: String, CaseIterable {
      case swapped = """
        local a, b = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])
        redis.call('SET', KEYS[1], b) redis.call('SET', KEYS[2], a)
        """
      case flipped = """
        for i = 1, 2 do local v = redis.call('GET', KEYS[i])
        redis.call('SET', KEYS[i], v:sub(1, 40) .. string.char(bit.bxor(v:byte(41), 1)) .. v:sub(42)) end
        """
    }

    @Test("A value that was changed in Redis, or moved to another name, is not believed", arguments: Damage.allCases)
    func damaged(_ damage: Damage) async throws {
      try await withTwoTokens { tenant, redis, _, keys in
        try await redis.ask(["EVAL", damage.rawValue, "2", keys[0], keys[1]])
        let fresh = try await Self.brokers(1, tenant, ["BROKER_STORE": redis.url])
        for path in [API.path, "https://ledger.example.com/"] {
          #expect(try await fresh[0].token(path).status == 200)
        }
        #expect(tenant.tenant.statistics.mints == 4)
        try await Self.end(fresh)
      }
    }

    @Test("An old token that is put back into Redis does not take the place of a newer one")
    func replayed() async throws {
      let redis = try await RedisServer()
      try await withTenant { tenant in
        let environment = [
          "BROKER_STORE": redis.url, "BROKER_CONFIG": try tenant.file("c.yaml", "cache: {minRefreshInterval: 1s}"),
        ]
        let brokers = try await Self.brokers(1, tenant, environment)
        let old = try await brokers[0].token(API.path)
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
      try await eventualValue("a new token") {
        let answer = try await broker.token(API.path, "--header", "Cache-Control: no-cache")
        #expect(answer.status == 200)
        return answer.token == old.token ? nil : answer
      }
    }

    // MARK: A file

    @Test("With a store in a file a restart costs no mint, though the tenant is away")
    func file() async throws {
      try await withTenant { tenant in
        let environment = ["BROKER_STORE": "file:\(try tenant.file("directory", "").dropLast("directory".count))tokens"]
        var brokers = try await Self.brokers(1, tenant, environment)
        let token = try #require(try await brokers[0].token(API.path).token)
        try await Self.end(brokers)
        let path = try #require(environment["BROKER_STORE"]).dropFirst("file:".count)
        let contents = String(decoding: try Data(contentsOf: URL(fileURLWithPath: String(path))), as: UTF8.self)
        for secret in [token, "api.example.com", tenant.secret] { #expect(!contents.contains(secret)) }
        tenant.tenant.stop()
        brokers = try await Self.brokers(1, tenant, environment)
        let again = try await brokers[0].token(API.path)
        #expect(again.status == 200 && again.token == token)
        #expect(tenant.tenant.statistics.mints == 1)
        // What it does not hold it cannot get.
        #expect(try await brokers[0].token("https://ledger.example.com/").status == 503)
        try await Self.end(brokers)
      }
    }

    @Test("Brokers of one machine that share a file mint once for each audience, and go on when one dies")
    func sharedFile() async throws {
      let (audiences, paths) = Self.apis(50)
      try await withTenant({ $0.audiences = audiences }) { tenant in
        let path = try tenant.file("tokens", "")
        let brokers = try await Self.brokers(3, tenant, ["BROKER_STORE": "file:\(path)"])
        let tokens = try await Self.tokens(paths, from: brokers)
        #expect(tokens.values.allSatisfy { $0.count == 1 })
        #expect(tenant.tenant.statistics.mints == 50)
        brokers[0].child.signal(SIGKILL)
        try await brokers[0].child.end()
        let successor = try await Self.brokers(1, tenant, ["BROKER_STORE": "file:\(path)"])
        #expect(try await Self.tokens(paths, from: brokers.dropFirst() + successor) == tokens)
        #expect(tenant.tenant.statistics.mints == 50)
        try await Self.end(Array(brokers.dropFirst()) + successor)
      }
    }

    /// How often the broker is killed; more with `KILLS`.
    private static let kills = ProcessInfo.processInfo.environment["KILLS"].flatMap { Int($0) } ?? 25

    @Test("A broker that is killed while it saves starts again, with one mint for each audience at the most")
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
          for path in paths.dropFirst(count) { try? client.send(API.request(path)) }
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
