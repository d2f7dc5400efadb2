import Basics
import BrokerCore
import Synchronization
import TestSupport
import Testing

@testable import Stores

/// Against clusters of three of Debian's redis-servers with a replica each, some of which are lost.
@Suite(.serialized, .timeLimit(.minutes(3))) struct RedisFailoverTests {
  /// What brokers have made of names that each of them wanted at the same time.
  private struct Made {
    var names = 0
    var values = 0
    var failures: [String] = []
    var longest = Duration.zero
  }

  /// Has every store make one name after the other, from this number on, until `isOver` and a little longer.
  private func load(
    _ stores: [RedisStore], from first: UInt64 = 0, until isOver: @escaping @Sendable () -> Bool
  ) async -> Made {
    await withTaskGroup(of: Made.self) { group in
      for lane: UInt64 in 0..<4 {
        group.addTask {
          var (made, number, left) = (Made(), first + lane, 10)
          while left > 0, !Task.isCancelled {
            await make(StoreName(number: number), in: stores, &made)
            number += 4
            if isOver() { left -= 1 }
          }
          return made
        }
      }
      return await group.reduce(into: Made()) { all, made in
        all.names += made.names
        all.values += made.values
        all.failures += made.failures
        all.longest = max(all.longest, made.longest)
      }
    }
  }

  private func make(_ name: StoreName, in stores: [RedisStore], _ made: inout Made) async {
    let results = await withTaskGroup(of: (Result<Bool, any Error>, Duration).self) { group in
      for store in stores {
        group.addTask {
          let start = Instant.now
          do { return (.success(try await store.mint(name)), start.duration(to: .now)) } catch {
            return (.failure(error), start.duration(to: .now))
          }
        }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    made.names += 1
    for (result, took) in results {
      made.longest = max(made.longest, took)
      switch result {
      case .success(let isMade): made.values += isMade ? 1 : 0
      case .failure(let error): made.failures.append("\(error)")
      }
    }
  }

  private func isPrimary(_ node: RedisServerCluster.Node) async throws -> Bool {
    try await node.server.ask("ROLE").hasPrefix("master")
  }

  @Test("While a replica takes over on command, everything is made once and nothing fails")
  func failover() async throws {
    let cluster = try await RedisServerCluster(hasReplicas: true)
    let stores = try cluster.primaries.map { try $0.store() }
    let isOver = Watched(false)
    async let made = load(stores) { isOver.value }
    try await cluster.replicas[0].server.ask("CLUSTER", "FAILOVER")
    try await eventually("new primary") { try await isPrimary(cluster.replicas[0]) }
    try await cluster.replicas[2].server.ask("CLUSTER", "FAILOVER")
    try await eventually("new primary") { try await isPrimary(cluster.replicas[2]) }
    isOver.change { $0 = true }
    let all = await made
    #expect(all.failures.isEmpty)
    #expect(all.values == all.names)
  }

  @Test("While a primary is away and another takes its place, everything is made once and found again")
  func killedPrimary() async throws {
    let cluster = try await RedisServerCluster(hasReplicas: true, ["--cluster-require-full-coverage", "no"])
    let stores = try [0, 2, 2].map { try cluster.primaries[$0].store() }
    let before = try cluster.name(at: 1)
    #expect(try await stores[0].mint(before))
    try await cluster.replicas[1].server.wait(for: "a copy") { try await $0.keys("*").count == 1 }
    let (isOver, count) = (Watched(false), 2000 as UInt64)
    async let made = load(stores, from: count) { isOver.value }
    try await cluster.primaries[1].server.kill()
    // A replica has it.
    for store in stores { try await eventually("found") { try await store.load([before]) == [[42]] } }
    let during = try cluster.name(at: 1, from: 1000)
    #expect(try await stores[0].mint(during))
    #expect(try await !stores[1].mint(during))
    try await eventually("new primary") { try await isPrimary(cluster.replicas[1]) }
    try await cluster.replicas[1].server.wait(for: "claims at the new primary") {
      try await $0.keys("*").count > 5
    }
    #expect(try await !stores[2].mint(during))
    isOver.change { $0 = true }
    let all = await made
    #expect(all.failures.isEmpty)
    // The last claims may not have reached the replica.
    #expect(all.names...all.names + 4 ~= all.values)
    #expect(all.longest < .seconds(5))
    for store in stores { #expect(store.condition.problem == nil) }
  }

  @Test("A primary that does not answer slows nobody who asks others, and costs one time-out")
  func pausedPrimary() async throws {
    let cluster = try await RedisServerCluster(hasReplicas: true, ["--cluster-require-full-coverage", "no"])
    let store = try cluster.primaries[0].store { $0.timeout = .seconds(2) }
    let (here, there) = (try cluster.name(at: 0), try cluster.name(at: 1))
    #expect(try await store.mint(here))
    #expect(try await store.mint(there))
    try await cluster.replicas[1].server.wait(for: "a copy") { try await $0.keys("*").count == 1 }
    cluster.primaries[1].server.pause()
    let start = Instant.now
    async let waiting = store.claim(there, for: .seconds(60), loading: [there])
    for _ in 0..<100 { #expect(try await store.load([here]) == [[42]]) }
    #expect(start.duration(to: .now) < .seconds(1.5))
    #expect(try await waiting.values == [[42]])
    let again = Instant.now
    #expect(try await store.load([there]) == [[42]])
    #expect(again.duration(to: .now) < .seconds(1.5))
    cluster.primaries[1].server.resume()
  }

  @Test("A cluster that answers nothing because a node is missing is said to refuse")
  func missingNode() async throws {
    let cluster = try await RedisServerCluster(["--cluster-require-full-coverage", "yes"])
    let store = try cluster.primaries[0].store { $0.timeout = .milliseconds(500) }
    let name = try cluster.name(at: 0)
    #expect(try await store.load([name]) == [nil])
    try await cluster.primaries[2].server.kill()
    try await eventually("refused") {
      _ = try? await store.load([name])
      return store.condition.refusals[.load]?.contains("too many nodes of the cluster are missing") == true
    }
  }

  @Test("A store is out of reach only when no node is left, and finds the cluster again")
  func allKilled() async throws {
    let cluster = try await RedisServerCluster()
    let store = try cluster.primaries[0].store()
    #expect(try await store.mint(cluster.name(at: 2)))
    for node in cluster.primaries[..<2] { try await node.server.kill() }
    try await eventually("lost") { (try? await store.load([cluster.name(at: 0)])) == nil }
    #expect(store.condition.problem == nil)
    try await cluster.primaries[2].server.kill()
    try await eventually("out of reach") { store.condition.problem != nil }
    for node in cluster.primaries { try await node.server.restart() }
    try await eventually("found again") { (try? await store.load([cluster.name(at: 0)])) == [nil] }
    #expect(try await store.mint(cluster.name(at: 0)))
    #expect(store.condition.problem == nil)
  }
}
