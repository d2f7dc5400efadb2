import Basics
import BrokerCore
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Stores

/// Against clusters of three of Debian's redis-servers.
@Suite(.serialized, .timeLimit(.minutes(3))) struct RedisClusterTests {
  private static func store(
    _ node: RedisServerCluster.Node, _ change: (inout RedisSettings) -> Void = { _ in }
  ) throws -> RedisStore {
    var settings = RedisSettings(.tcp(host: "127.0.0.1", port: node.port))
    settings.timeout = .seconds(10)
    settings.connectTimeout = .seconds(10)
    settings.trialInterval = nil
    (settings.user, settings.password) = (RedisServer.user, Secret(RedisServer.password.utf8))
    change(&settings)
    return try RedisStore(settings, log: .silent)
  }

  private func entry(_ name: StoreName, _ value: [UInt8], for lifetime: Duration = .seconds(60)) -> StoreEntry {
    StoreEntry(name: name, value: value, lifetime: lifetime)
  }

  private func slot(of name: StoreName) -> Int { RedisSlot.number(of: "token-broker:{\(Hex.text(name.group))}") }

  /// A name that lies in a slot of this primary's.
  private func name(at index: Int, of cluster: RedisServerCluster, from first: UInt64 = 0) -> StoreName {
    let node = cluster.primaries[index]
    return (first...).lazy.map { StoreName(number: $0) }.first { cluster.primary(of: slot(of: $0)).port == node.port }!
  }

  /// Makes what a broker makes under a claim: true if this call made it, false if it was there.
  private func mint(_ name: StoreName, in store: RedisStore) async throws -> Bool {
    while true {
      let answer = try await store.claim(name, for: .seconds(60), loading: [name])
      guard let claim = answer.claim else {
        if answer.values == [[42]] { return false }
        await store.waitForChange(of: name, until: Instant.now.advanced(by: .milliseconds(50)))
        continue
      }
      try await store.save(answer.values == [[42]] ? [] : [entry(name, [42])], settling: claim)
      return answer.values != [[42]]
    }
  }

  @Test("Brokers at different nodes share claims and values of all slots, by a user with the rights that are documented")
  func sharing() async throws {
    let cluster = try await RedisServerCluster()
    let stores = try cluster.primaries.map { try Self.store($0) }
    let names = (0..<300).map { StoreName(number: UInt64($0)) }
    let made = try await withThrowingTaskGroup(of: Bool.self) { group in
      for name in names {
        for store in stores { group.addTask { try await mint(name, in: store) } }
      }
      return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
    }
    #expect(made == names.count)
    for store in stores { #expect(try await store.load(names).allSatisfy { $0 == [42] }) }
    for node in cluster.primaries { #expect(try await node.server.keys("*").count > 60) }
    try await stores[0].remove(Array(names[..<100]))
    #expect(try await stores[1].load(names).count { $0 == nil } == 100)
  }

  @Test("What is loaded and saved beside a claim may lie on other nodes, and what is of its group lies beside it")
  func groups() async throws {
    let cluster = try await RedisServerCluster()
    let store = try Self.store(cluster.primaries[0])
    let names = (0..<3).map { name(at: $0, of: cluster) }
    let beside = StoreName(StoreName(number: UInt64(77)).bytes, group: names[0].bytes)
    let all = names + [beside]
    let claim = try #require(try await store.claim(names[0], for: .seconds(60), loading: all).claim)
    try await store.save(all.enumerated().map { entry($1, [UInt8($0)]) }, settling: claim)
    let other = try Self.store(cluster.primaries[1])
    #expect(try await other.claim(names[0], for: .seconds(60), loading: all).values == [[0], [1], [2], [3]])
    let group = "token-broker:{\(Hex.text(names[0].bytes))}"
    let keys = try await cluster.primaries[0].server.keys("*")
    #expect(Set(keys) == [group, "\(group):claim", "\(group):\(Hex.text(beside.bytes))"])
  }

  @Test("A wait ends when a claim is given up, whichever nodes the brokers are subscribed at")
  func notice() async throws {
    let cluster = try await RedisServerCluster()
    let (first, second) = (try Self.store(cluster.primaries[0]), try Self.store(cluster.primaries[1]))
    for node in cluster.primaries[...1] { try await node.server.waitForSubscriptions(1) }
    let name = name(at: 2, of: cluster)
    let claim = try #require(try await first.claim(name, for: .seconds(60), loading: []).claim)
    #expect(try await second.claim(name, for: .seconds(60), loading: []).taken != nil)
    let start = Instant.now
    async let waiting: Void = second.waitForChange(of: name, until: start.advanced(by: .seconds(100)))
    try await first.save([], settling: claim)
    await waiting
    #expect(start.duration(to: .now) < .seconds(50))
  }

  @Test("A slot that has moved is followed to its new node")
  func moved() async throws {
    let cluster = try await RedisServerCluster()
    let store = try Self.store(cluster.primaries[0])
    let name = name(at: 1, of: cluster)
    #expect(try await store.load([name]) == [nil])
    try await cluster.assign(slot(of: name), to: cluster.primaries[2])
    #expect(try await mint(name, in: store))
    #expect(try await cluster.primaries[2].server.keys("*").count == 1)
    #expect(try await store.load([name]) == [[42]])
  }

  @Test("While a slot is on its way to another node each token is made once and none is lost")
  func migration() async throws {
    let cluster = try await RedisServerCluster()
    let stores = try cluster.primaries.map { try Self.store($0) }
    let first = name(at: 1, of: cluster)
    let slot = slot(of: first)
    // Names of one slot: a group makes it.
    let names = (0..<40).map { StoreName(StoreName(number: UInt64(1000 + $0)).bytes, group: first.bytes) }
    let (source, target) = (cluster.primaries[1], cluster.primaries[2])
    for name in names[..<10] { #expect(try await mint(name, in: stores[0])) }
    let open = try #require(try await stores[0].claim(names[10], for: .seconds(60), loading: []).claim)
    try await cluster.beginMove(of: slot, from: source, to: target)
    for name in names[11..<20] { #expect(try await mint(name, in: stores[1])) }
    try await cluster.moveKeys(of: slot, from: source, to: target)
    try await stores[0].save([entry(names[10], [42])], settling: open)
    for name in names[20..<30] { #expect(try await mint(name, in: stores[2])) }
    #expect(try await stores[1].load(names).map { $0 == [42] } == names.indices.map { $0 < 30 })
    try await cluster.assign(slot, to: target)
    for name in names[30...] { #expect(try await mint(name, in: stores[0])) }
    for name in names { #expect(try await !mint(name, in: stores[1])) }
  }

  @Test("A node whose cluster has no slots yet cannot be used, and can be when it has them")
  func empty() async throws {
    let server = try await RedisServer([
      "--cluster-enabled", "yes", "--port", "\(RedisServer.freePort())", "--cluster-port", "\(RedisServer.freePort())",
    ])
    let store = try server.store { $0.timeout = .seconds(1) }
    await #expect(throws: StoreError("no node of the cluster has the key's slot")) {
      try await store.load([StoreName(1)])
    }
    #expect(store.condition.problem == "no node of the cluster has the key's slot")
    try await server.ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
    try await eventually("usable") { (try? await store.load([StoreName(1)])) == [nil] }
    #expect(store.condition.problem == nil)
  }
}

extension StoreName {
  /// A name that begins with `number`.
  init(number: UInt64) {
    self.init((0..<32).map { $0 < 8 ? UInt8(truncatingIfNeeded: number >> (8 * $0)) : 0 })
  }
}
