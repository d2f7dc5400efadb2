import Basics
import BrokerCore
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Stores

/// Against clusters of three of Debian's redis-servers.
@Suite(.serialized, .timeLimit(.minutes(3))) struct RedisClusterTests {
  @Test(
    "Brokers at different nodes share claims and values of all slots, by a user with the rights that are documented")
  func sharing() async throws {
    let cluster = try await RedisServerCluster()
    let stores = try cluster.primaries.map { try $0.store() }
    let names = (0..<300).map { StoreName(number: UInt64($0)) }
    let made = try await withThrowingTaskGroup(of: Bool.self) { group in
      for name in names {
        for store in stores { group.addTask { try await store.mint(name) } }
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
    let store = try cluster.primaries[0].store()
    let names = try (0..<3).map { try cluster.name(at: $0) }
    let beside = StoreName(StoreName(number: UInt64(77)).bytes, group: names[0].bytes)
    let all = names + [beside]
    let claim = try #require(try await store.claim(names[0], for: .seconds(60), loading: all).claim)
    try await store.save(
      all.enumerated().map { StoreEntry(name: $1, value: [UInt8($0)], lifetime: .seconds(60)) }, settling: claim)
    let other = try cluster.primaries[1].store()
    #expect(try await other.claim(names[0], for: .seconds(60), loading: all).values == [[0], [1], [2], [3]])
    let group = "token-broker:{\(Hex.text(names[0].bytes))}"
    let keys = try await cluster.primaries[0].server.keys("*")
    #expect(Set(keys) == [group, "\(group):claim", "\(group):\(Hex.text(beside.bytes))"])
  }

  @Test("What is removed is gone from the places too that only an outage would lead to")
  func removal() async throws {
    let cluster = try await RedisServerCluster()
    let store = try cluster.primaries[0].store()
    let name = try cluster.name(at: 0)
    #expect(try await store.mint(name))
    for place in 2...RedisPlaces.last {
      let key = store.keys.value(name, at: place)
      try await cluster.primary(of: RedisSlot.number(of: key)).server.ask("SET", key, "old")
    }
    try await store.remove([name])
    for node in cluster.primaries { #expect(try await node.server.keys("*").isEmpty) }
  }

  @Test("A wait ends when a claim is given up, whichever nodes the brokers are subscribed at")
  func notice() async throws {
    let cluster = try await RedisServerCluster()
    let (first, second) = (try cluster.primaries[0].store(), try cluster.primaries[1].store())
    for node in cluster.primaries[...1] { try await node.server.waitForSubscriptions(1) }
    let name = try cluster.name(at: 2)
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
    let store = try cluster.primaries[0].store()
    let name = try cluster.name(at: 1)
    #expect(try await store.load([name]) == [nil])
    try await cluster.assign(name.slot, to: cluster.primaries[2])
    #expect(try await store.mint(name))
    #expect(try await cluster.primaries[2].server.keys("*").count == 1)
    #expect(try await store.load([name]) == [[42]])
  }

  @Test("While a slot is on its way to another node each token is made once and none is lost")
  func migration() async throws {
    let cluster = try await RedisServerCluster()
    let stores = try cluster.primaries.map { try $0.store() }
    let first = try cluster.name(at: 1)
    let slot = first.slot
    // Names of one slot: a group makes it.
    let names = (0..<40).map { StoreName(StoreName(number: UInt64(1000 + $0)).bytes, group: first.bytes) }
    let (source, target) = (cluster.primaries[1], cluster.primaries[2])
    for name in names[..<10] { #expect(try await stores[0].mint(name)) }
    let open = try #require(try await stores[0].claim(names[10], for: .seconds(60), loading: []).claim)
    try await cluster.beginMove(of: slot, from: source, to: target)
    for name in names[11..<20] { #expect(try await stores[1].mint(name)) }
    try await cluster.moveKeys(of: slot, from: source, to: target)
    try await stores[0].save([StoreEntry(name: names[10], value: [42], lifetime: .seconds(60))], settling: open)
    for name in names[20..<30] { #expect(try await stores[2].mint(name)) }
    #expect(try await stores[1].load(names).map { $0 == [42] } == names.indices.map { $0 < 30 })
    try await cluster.assign(slot, to: target)
    for name in names[30...] { #expect(try await stores[0].mint(name)) }
    for name in names { #expect(try await !stores[1].mint(name)) }
  }

  @Test(
    "With TLS each node is used that proves the name under which the cluster tells of it",
    arguments: [
      (address: "127.0.0.1", problem: nil), ("127.0.0.2", "TLS: the peer's certificate: IP address mismatch"),
    ])
  func tls(address: String, problem: String?) async throws {
    let directory = try RedisServer.makeDirectory()
    defer { try? FileManager.default.removeItem(at: directory) }
    try await RedisServer.makeCertificates(in: directory)
    func file(_ name: String) -> String { directory.appendingPathComponent(name).path }
    let cluster = try await RedisServerCluster(certificates: directory, ["--cluster-announce-ip", address])
    let store = try cluster.primaries[0].store {
      $0.usesTLS = true
      ($0.caFile, $0.certificateFile, $0.keyFile) = (file("ca.pem"), file("client.pem"), file("client.key"))
    }
    for index in 0..<3 { #expect((try? await store.mint(cluster.name(at: index))) == (problem == nil ? true : nil)) }
    #expect(store.condition.problem == problem)
  }

  @Test("A node whose cluster has no slots yet cannot be used, and can be when it has them")
  func empty() async throws {
    let server = try await RedisServer([
      "--cluster-enabled", "yes", "--port", "\(RedisServer.freePort())", "--cluster-port", "\(RedisServer.freePort())",
    ])
    let store = try server.store { $0.timeout = .seconds(1) }
    let reason = "MGET was refused: too many nodes of the cluster are missing (CLUSTERDOWN)"
    await #expect(throws: StoreError(reason)) { try await store.load([StoreName(1)]) }
    try await server.ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
    try await eventually("usable") { (try? await store.load([StoreName(1)])) == [nil] }
  }
}
