import DevTenant
import Foundation
import TestSupport
import Testing

extension LoadTests {
  /// What changes about a store while brokers use it: where it is, and what its values are sealed with.
  @Suite struct StoreChangeTests {
    @Test("While Sentinels switch the primary every caller is served, and brokers share what they mint after that")
    func failover() async throws {
      let group = try await SentinelGroup()
      let names = (0..<300).map { "https://api-\($0).example.com/" }
      try await withTenant({ $0.audiences = Dictionary(uniqueKeysWithValues: names.map { ($0, []) }) }) { tenant in
        let places = group.sentinels.map { "127.0.0.1:\($0.port)" }.joined(separator: ",")
        // A loaded machine may make the store slower than it may be, and then each broker mints for itself.
        let environment = [
          "BROKER_STORE": "redis+sentinel://\(places)/\(SentinelGroup.name)",
          "BROKER_CONFIG": try tenant.file("broker.yaml", "store: {timeout: 5s}"),
        ]
        let brokers = [try await tenant.broker(environment), try await tenant.broker(environment)]
        for broker in brokers { try await broker.child.wait(forLog: "the store is connected") }
        let clients = try brokers.map { try RawClient(port: $0.port, timeout: 60) }
        func ask(_ names: some Collection<String>) async throws {
          for name in names {
            for client in clients {
              try client.send(API.request(name))
              let answer = try await client.readResponse()
              #expect(answer.head.hasPrefix("HTTP/1.1 200 "), "\(name): \(answer.body)")
            }
          }
        }
        try await ask(names[..<20])
        #expect(tenant.tenant.statistics.mints == 20)
        try await group.failOver()
        var next = 20
        while brokers.contains(where: { !$0.child.errors.contains("the store's primary has moved") }), next < 200 {
          try await ask(names[next..<next + 1])
          next += 1
        }
        for broker in brokers { try await broker.child.wait(forLog: "the store is connected", times: 2) }
        let mints = tenant.tenant.statistics.mints
        try await ask(names[200...])
        #expect(tenant.tenant.statistics.mints == mints + 100)
        for broker in brokers { broker.child.signal(SIGTERM) }
        for broker in brokers { try await broker.child.end() }
      }
    }

    @Test("A key that is replaced in its file is used at once, and what the one before it sealed is still read")
    func newKey() async throws {
      let redis = try await RedisServer()
      func key(_ letter: Character) -> String { String(repeating: letter, count: 40) }
      func file(_ name: String, _ keys: Character...) throws -> String {
        let file = redis.directory.appendingPathComponent(name)
        try Data(keys.map { key($0) + "\n" }.joined().utf8).write(to: file, options: .atomic)
        return file.path
      }
      try await withTenant { tenant in
        func broker(_ file: String) async throws -> BrokerProcess {
          try await tenant.broker(["BROKER_STORE": redis.url, "BROKER_STORE_KEY_FILE": file])
        }
        let first = try await broker(file("first", "a"))
        #expect(try await first.token(API.path).status == 200)
        _ = try file("first", "b", "a")
        try await first.child.wait(forLog: "the configuration was read again")
        #expect(try await first.token("https://ledger.example.com/").status == 200)
        // One that has both finds both; one that has the new key only, what was sealed with that.
        let second = try await broker(file("second", "b", "a"))
        #expect(try await second.token(API.path).status == 200)
        let third = try await broker(file("third", "b"))
        #expect(try await third.token("https://ledger.example.com/").status == 200)
        #expect(tenant.tenant.statistics.mints == 2)
        for broker in [first, second, third] { broker.child.signal(SIGTERM) }
        for broker in [first, second, third] { try await broker.child.end() }
      }
    }
  }
}
