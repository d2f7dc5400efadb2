import Basics
import BrokerCore
import Foundation
import IO
import Synchronization
import TestSupport
import Testing

@testable import Stores

/// Debian's Sentinels, and switches from one primary to another while a store is in use.
@Suite(.serialized, .timeLimit(.minutes(2))) struct RedisSentinelTests {
  init() { ThisProcess.ignoreFailingWrites() }

  /// Claims and saves, one after the other, until it is cancelled.
  private static func load(_ store: RedisStore) -> (task: Task<Void, Never>, done: Watched<(saved: Int, failed: Int)>) {
    let done = Watched((saved: 0, failed: 0))
    let task = Task {
      while !Task.isCancelled {
        let name = StoreName((0..<32).map { _ in UInt8.random(in: .min ... .max) })
        do {
          let claim = try await store.claim(name, for: .seconds(3), loading: [name]).claim
          try await store.save([StoreEntry(name: name, value: [1], lifetime: .seconds(60))], settling: claim)
          done.change { $0.saved += 1 }
        } catch {
          done.change { $0.failed += 1 }
        }
        await Task.yield()
      }
    }
    return (task, done)
  }

  /// When the scripts came that a server was asked to run, in seconds since 1970.
  private static func scripts(in monitor: ChildProcess) -> [Double] {
    monitor.output.split(separator: "\n").filter { $0.contains("\"EVAL\"") }.compactMap {
      $0.split(separator: " ").first.flatMap { Double($0) }
    }
  }

  private static func monitor(_ server: RedisServer) async throws -> ChildProcess {
    let monitor = try ChildProcess("redis-cli", ["-s", server.socket, "MONITOR"])
    try await monitor.wait(for: "monitor") { $0.output.hasPrefix("OK") }
    return monitor
  }

  /// When a server that was a replica is asked to run the first script, in seconds since 1970. What it was told as a
  /// replica was no script.
  private static func firstScript(on server: RedisServer) async throws -> Double {
    try await server.wait(for: "a script") { try await $0.ask("INFO", "commandstats").contains("cmdstat_eval:") }
    return Date().timeIntervalSince1970
  }

  /// When the first Sentinel has told of a switch, in seconds since 1970.
  private static func told(_ listeners: [ChildProcess]) async throws -> Double {
    try await eventually("a switch") { listeners.contains { $0.output.contains("\(SentinelGroup.name) 127.0.0.1") } }
    return Date().timeIntervalSince1970
  }

  @Test("After a planned failover nothing goes to the old primary, which would still take it, and all to the new one")
  func plannedFailover() async throws {
    let group = try await SentinelGroup()
    let store = try group.store()
    var recoveries = store.recoveries.makeAsyncIterator()
    let load = Self.load(store)
    try await load.done.wait(for: "a load") { load.done.value.saved > 20 ? true : nil }
    let monitor = try await Self.monitor(group.servers[0])
    let listeners = try await group.switches()
    try await group.failOver()
    let told = try await Self.told(listeners)
    #expect(try await Self.firstScript(on: group.servers[1]) < told + 1)
    // What it held may not all have come to the new one.
    await recoveries.next()
    let saved = load.done.value.saved
    // Not more, because after some eight seconds the Sentinels make the old primary a replica, which would take none.
    try await load.done.wait(for: "more load") { load.done.value.saved > saved + 100 ? true : nil }
    load.task.cancel()
    await load.task.value
    #expect(try await group.servers[0].ask("ROLE").hasPrefix("master"))
    // A quarter of a second is for a machine that has much else to do.
    #expect(Self.scripts(in: monitor).filter { $0 > told + 0.25 } == [])
    // At most what was under way.
    #expect(load.done.value.failed <= 1)
  }

  @Test("A primary that dies is left for the one that the Sentinels choose, within a second of their telling")
  func killedPrimary() async throws {
    let group = try await SentinelGroup()
    let store = try group.store()
    let load = Self.load(store)
    try await load.done.wait(for: "a load") { load.done.value.saved > 20 ? true : nil }
    let listeners = try await group.switches()
    try await group.servers[0].kill()
    let told = try await Self.told(listeners)
    #expect(try await Self.firstScript(on: group.servers[1]) < told + 1)
    load.task.cancel()
    await load.task.value
    #expect(store.condition.problem == nil)
  }

  @Test("Changes are heard from the new primary")
  func changes() async throws {
    let group = try await SentinelGroup(sentinels: 1)
    let (first, second) = (try group.store(), try group.store())
    try await group.servers[0].waitForSubscriptions(2)
    try await group.failOver()
    try await group.servers[1].waitForSubscriptions(2)
    let claim = try await eventualValue("granted") {
      try? await first.claim(StoreName(1), for: .seconds(60), loading: []).claim
    }
    let start = Instant.now
    async let waiting: Void = second.waitForChange(of: StoreName(1), until: start.advanced(by: .seconds(100)))
    try await eventually("waiting") { second.changes.count == 1 }
    try await first.save([], settling: claim)
    await waiting
    #expect(start.duration(to: .now) < .seconds(60))
  }

  @Test("Sentinels with a password of their own are told it, and only them")
  func password() async throws {
    let group = try await SentinelGroup(sentinels: 1, lines: ["requirepass s3cret"])
    var settings = group.settings
    let reason = try await Self.problem(settings) { $0.contains("NOAUTH") }
    #expect(
      reason == "no Sentinel says where the primary tokens is: 127.0.0.1:\(group.sentinels[0].port): "
        + "the connection was refused: it demands a password (NOAUTH)")
    settings.sentinelPassword = Secret("s3cret".utf8)
    let store = try RedisStore(settings, log: .silent)
    #expect(try await store.load([StoreName(1)]) == [nil])
  }

  @Test("With TLS, Sentinels and primary must both prove their names")
  func tls() async throws {
    let directory = try RedisServer.makeDirectory()
    defer { try? FileManager.default.removeItem(at: directory) }
    try await OpenSSL.run("authority ca; sign server ca; authority other", in: directory.path)
    func file(_ name: String) -> String { directory.appendingPathComponent(name).path }
    let tls = [
      ("tls-cert-file", file("server.crt")), ("tls-key-file", file("server.key")), ("tls-ca-cert-file", file("ca.crt")),
      ("tls-auth-clients", "no"), ("tls-replication", "yes"),
    ]
    let group = try await SentinelGroup(servers: 1, sentinels: 1, settings: tls)
    var settings = group.settings
    settings.usesTLS = true
    settings.caFile = file("other.crt")
    #expect(try await Self.problem(settings) { $0.contains("TLS") }.contains("the peer's certificate"))
    settings.caFile = file("ca.crt")
    let store = try RedisStore(settings, log: .silent)
    #expect(try await store.load([StoreName(1)]) == [nil])
  }

  @Test("A name that no Sentinel knows is the reason given")
  func unknownName() async throws {
    let group = try await SentinelGroup(servers: 1, sentinels: 1)
    var settings = group.settings
    guard case .primary(_, let sentinels) = settings.server else { return }
    settings.server = .primary(named: "other", by: sentinels)
    let reason = try await Self.problem(settings) { $0.contains("knows no primary") }
    let sentinel = "127.0.0.1:\(group.sentinels[0].port)"
    #expect(reason.contains("\(sentinel): SENTINEL was refused: it knows no primary called other"))
  }

  private static func problem(_ settings: RedisSettings, _ isMeant: (String) -> Bool) async throws -> String {
    let store = try RedisStore(settings, log: .silent)
    return try await eventualValue("the problem") { store.condition.problem.flatMap { isMeant($0) ? $0 : nil } }
  }
}

extension SentinelGroup {
  /// With time enough for a machine that has much else to do.
  var settings: RedisSettings {
    let sentinels = sentinels.map { RedisSettings.Server.tcp(host: "127.0.0.1", port: $0.port) }
    var settings = RedisSettings(.primary(named: Self.name, by: sentinels))
    settings.timeout = .seconds(20)
    settings.connectTimeout = .seconds(20)
    return settings
  }

  func store() throws -> RedisStore { try RedisStore(settings, log: .silent) }
}
