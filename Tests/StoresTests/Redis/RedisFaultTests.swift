import Basics
import BrokerCore
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Stores

/// Servers that are absent, slow, dead or wrong. Bounds are wide, because the machine has other things to do.
@Suite(.serialized, .timeLimit(.minutes(2))) struct RedisFaultTests {
  private let entry = StoreEntry(name: StoreName(1), value: [42], lifetime: .seconds(600))

  /// How long `body` takes to throw, and what.
  private func failure(_ body: () async throws -> Void) async -> (took: Duration, reason: String)? {
    let start = Instant.now
    do {
      try await body()
      return nil
    } catch {
      return (start.duration(to: .now), (error as? StoreError)?.reason ?? "\(error)")
    }
  }

  /// Every operation fails, and in a moment: there is nothing that they wait for.
  private func expectDown(_ store: RedisStore) async {
    let claim = StoreClaim(name: StoreName(1), fence: 1)
    let start = Instant.now
    for _ in 0..<100 {
      await #expect(throws: StoreError.self) { try await store.load([StoreName(1)]) }
      await #expect(throws: StoreError.self) { try await store.claim(StoreName(1), for: .seconds(1), loading: []) }
      await #expect(throws: StoreError.self) { try await store.renew(claim, for: .seconds(1)) }
      await #expect(throws: StoreError.self) { try await store.save([entry], settling: nil) }
    }
    // Far less than one time-out for each.
    #expect(start.duration(to: .now) < .seconds(20))
    #expect(store.condition.problem != nil)
  }

  private func recover(_ store: RedisStore) async throws -> [[UInt8]?] {
    try await eventualValue("connected again") { try? await store.load([StoreName(1), StoreName(2)]) }
  }

  @Test("A server that is not there fails at once, and is found when it comes")
  func absent() async throws {
    let directory = try RedisServer.makeDirectory()
    var settings = RedisSettings(.unix(path: directory.appendingPathComponent("s").path))
    settings.timeout = .seconds(20)
    settings.trialInterval = nil
    let store = try RedisStore(settings, log: .silent)
    let failed = try #require(await failure { _ = try await store.load([StoreName(1)]) })
    #expect(failed.took < .seconds(15))
    #expect(failed.reason == "connect: No such file or directory")
    await expectDown(store)
    let server = try await RedisServer(in: directory)
    #expect(try await recover(store) == [nil, nil])
    #expect(store.condition.problem == nil)
    withExtendedLifetime(server) {}
  }

  @Test("A port where no server listens fails at once")
  func refused() async throws {
    var settings = RedisSettings(.tcp(host: "localhost", port: try RedisServer.freePort()))
    settings.timeout = .seconds(20)
    let store = try RedisStore(settings, log: .silent)
    let failed = try #require(await failure { _ = try await store.load([StoreName(1)]) })
    #expect(failed.took < .seconds(15))
    #expect(failed.reason == "connect: Connection refused")
    await expectDown(store)
  }

  @Test("A server that dies fails what is under way at once, and is found again when it is back")
  func killed() async throws {
    let server = try await RedisServer()
    let store = try server.store()
    try await store.save([entry], settling: nil)
    server.pause()
    let loading = Task { await failure { _ = try await store.load([StoreName(1)]) } }
    try await server.kill()
    #expect(try #require(await loading.value).took < .seconds(15))
    await expectDown(store)
    try await server.restart()
    #expect(try await recover(store) == [nil, nil])
    let claim = try #require(try await store.claim(StoreName(1), for: .seconds(60), loading: []).claim)
    try await store.save([entry], settling: claim)
    #expect(try await store.load([StoreName(1)]) == [[42]])
  }

  @Test("A server that is paused costs one time-out, and then every operation fails at once")
  func paused() async throws {
    let server = try await RedisServer()
    let store = try server.store {
      $0.timeout = .seconds(1)
      $0.connectTimeout = .seconds(1)
    }
    _ = try await recover(store)
    server.pause()
    let failed = try #require(await failure { _ = try await store.load([StoreName(2)]) })
    #expect(failed.took >= .seconds(1) && failed.took < .seconds(15))
    #expect(failed.reason == "no answer within 1.0 seconds")
    await expectDown(store)
    server.resume()
  }

  @Test("The late answers of a server that was paused reach no caller")
  func resumed() async throws {
    let server = try await RedisServer()
    let store = try server.store {
      $0.timeout = .seconds(1)
      $0.connectTimeout = .seconds(1)
    }
    let other = StoreEntry(name: StoreName(2), value: [2], lifetime: .seconds(600))
    try await eventually("saved") { (try? await store.save([entry, other], settling: nil)) != nil }
    server.pause()
    await #expect(throws: StoreError.self) { try await store.load([StoreName(2)]) }
    await expectDown(store)
    server.resume()
    // The answers to what was asked before the pause would be wrong for what is asked now.
    #expect(try await recover(store) == [[42], [2]])
    for _ in 0..<20 { #expect(try await store.load([StoreName(1)]) == [[42]]) }
  }

  @Test("An answer that comes late is not taken for that to another command")
  func late() async throws {
    let owed = Mutex<[Int: String]>([:])
    let fake = try FakeRedis { command, peer in
      let isFirst = command.last == "token-broker:{\(String(repeating: "01", count: 32))}"
      let before = owed.withLock { owed in
        defer { if isFirst { owed[peer.number, default: ""] += "*1\r\n$1\r\na\r\n" } }
        return owed[peer.number] ?? ""
      }
      if !isFirst { peer.send(before + "*1\r\n$1\r\nb\r\n") }
    }
    var settings = fake.settings
    settings.timeout = .seconds(1)
    settings.connectTimeout = .seconds(20)
    let store = try RedisStore(settings, log: .silent)
    try await eventually("connected") { store.condition.problem == nil }
    await #expect(throws: StoreError.self) { try await store.load([StoreName(1)]) }
    let next = try await eventualValue("connected again") { try? await store.load([StoreName(2)]) }
    #expect(next == [Array("b".utf8)])
  }

  @Test("A dead connection is found while it is idle")
  func idle() async throws {
    let server = try await RedisServer()
    let store = try server.store {
      $0.timeout = .seconds(1)
      $0.connectTimeout = .seconds(1)
    }
    _ = try await recover(store)
    server.pause()
    try await eventually("noticed") { store.condition.problem != nil }
    await expectDown(store)
    server.resume()
  }

  @Test("A subscription is made again after an outage, which ends all waits")
  func subscription() async throws {
    let server = try await RedisServer()
    let (first, second) = (try server.store(), try server.store())
    try await server.waitForSubscriptions(2)
    try await server.kill()
    try await eventually("noticed") { second.condition.problem != nil }
    let start = Instant.now
    async let waiting: Void = second.waitForChange(of: StoreName(1), until: start.advanced(by: .seconds(100)))
    try await eventually("waiting") { second.changes.count == 1 }
    try await server.restart()
    await waiting
    try await server.waitForSubscriptions(2)
    _ = try await recover(first)
    _ = try await recover(second)
    let claim = try #require(try await first.claim(StoreName(1), for: .seconds(60), loading: []).claim)
    #expect(try await second.claim(StoreName(1), for: .seconds(60), loading: []).taken != nil)
    async let again: Void = second.waitForChange(of: StoreName(1), until: start.advanced(by: .seconds(100)))
    try await first.save([], settling: claim)
    await again
    #expect(start.duration(to: .now) < .seconds(60))
  }

  @Test("A full server refuses a save, and still gives up the claim")
  func fullServerSettles() async throws {
    let server = try await RedisServer()
    let store = try server.store()
    let claim = try #require(try await store.claim(StoreName(2), for: .seconds(60), loading: []).claim)
    let entry = StoreEntry(name: StoreName(2), value: [42], lifetime: .seconds(600))
    try await server.ask("CONFIG", "SET", "maxmemory", "1")
    await #expect(throws: StoreError("SET was refused: its memory is full (OOM)", isRefusal: true)) {
      try await store.save([entry], settling: nil)
    }
    #expect(try await server.ask("EXISTS", "token-broker:{\(String(repeating: "02", count: 32))}:claim") == "1")
    await #expect(throws: StoreError("EVAL was refused: its memory is full (OOM)", isRefusal: true)) {
      try await store.save([entry], settling: claim)
    }
    #expect(try await server.ask("EXISTS", "token-broker:{\(String(repeating: "02", count: 32))}:claim") == "0")
  }

  @Test("A full server still serves what it has, and is written to over the same connection when it has room")
  func fullServerServes() async throws {
    let server = try await RedisServer()
    let store = try server.store()
    try await store.save([entry], settling: nil)
    try await server.ask("CONFIG", "SET", "maxmemory", "1")
    let reason = "EVAL was refused: its memory is full (OOM)"
    await #expect(throws: StoreError(reason, isRefusal: true)) {
      try await store.claim(StoreName(2), for: .seconds(60), loading: [])
    }
    #expect(try await store.load([StoreName(1)]) == [[42]])
    #expect(store.condition.problem == nil && store.condition.refusals == [.claim: reason])
    try await server.ask("CONFIG", "SET", "maxmemory", "0")
    #expect(try await store.claim(StoreName(2), for: .seconds(60), loading: []).claim != nil)
    let clients = try await server.ask("CLIENT", "LIST", "TYPE", "normal")
    #expect(clients.components(separatedBy: "name=token-broker").count == 2)
  }

  @Test("A connection to a replica is made anew after a while, and claims are granted once it is a primary")
  func formerReplica() async throws {
    let server = try await RedisServer()
    let store = try server.store()
    _ = try await recover(store)
    try await server.ask("REPLICAOF", "127.0.0.1", "1")
    let client = try #require(
      try await server.ask("CLIENT", "LIST", "TYPE", "normal").firstMatch(of: /id=(\d+) [^\n]*name=token-broker/)?.1)
    try await eventually("connected anew") {
      _ = try? await store.claim(StoreName(1), for: .seconds(60), loading: [])
      let now = try await server.ask("CLIENT", "LIST", "TYPE", "normal").firstMatch(
        of: /id=(\d+) [^\n]*name=token-broker/)?.1
      return now != nil && now != client
    }
    try await server.ask("REPLICAOF", "NO", "ONE")
    try await eventually("granted") {
      (try? await store.claim(StoreName(1), for: .seconds(60), loading: []))?.claim != nil
    }
  }

  @Test("A key of another type under a store's name is no value, and no claim")
  func wrongKind() async throws {
    let server = try await RedisServer()
    let store = try server.store()
    let key = "token-broker:{\(String(repeating: "01", count: 32))}"
    try await server.ask("RPUSH", key, "x")
    #expect(try await store.load([StoreName(1)]) == [nil])
    try await server.ask("RPUSH", key + ":claim", "x")
    #expect(try await store.claim(StoreName(1), for: .seconds(1), loading: [StoreName(1)]).taken == .zero)
    await #expect(
      throws: StoreError(
        "EVAL was refused: under one of the keys is something of another kind (WRONGTYPE)", isRefusal: true)
    ) {
      try await store.renew(StoreClaim(name: StoreName(1), fence: 1), for: .seconds(1))
    }
    #expect(try await recover(store) == [nil, nil])
  }

  @Test("A Sentinel is recognised")
  func sentinel() async throws {
    let directory = try RedisServer.makeDirectory()
    let (file, socket) = (directory.appendingPathComponent("f"), directory.appendingPathComponent("s"))
    try Data("port \(RedisServer.freePort())\nunixsocket \(socket.path)\ndir \(directory.path)\n".utf8).write(to: file)
    let child = try ChildProcess("redis-server", [file.path, "--sentinel"])
    _ = try await child.wait(for: "identity") { $0.output.contains("Sentinel ID is") ? true : nil }
    var settings = RedisSettings(.unix(path: socket.path))
    settings.timeout = .seconds(20)
    let store = try RedisStore(settings, log: .silent)
    let error = await #expect(throws: StoreError.self) { try await store.load([StoreName(1)]) }
    #expect(error?.reason == "MGET was refused: it does not know the command, as a Sentinel would not (ERR)")
    child.signal(SIGTERM)
    try await child.end()
    try FileManager.default.removeItem(at: directory)
  }

  @Test(
    "An answer that does not fit the command ends the connection, and nothing else",
    arguments: [
      ":1\r\n", "+OK\r\n", "$1\r\nx\r\n", "*0\r\n", "*2\r\n$1\r\nx\r\n$1\r\ny\r\n", "*1\r\n:5\r\n", "*-1\r\n",
      "$-1\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "*4097\r\n", "*1\r\n$99999999\r\n", "",
    ])
  func wrongAnswer(_ text: String) async throws {
    let fake = try FakeRedis { command, peer in
      peer.send(command.last == "token-broker:{\(String(repeating: "02", count: 32))}" ? "*1\r\n$1\r\nb\r\n" : text)
    }
    var settings = fake.settings
    settings.timeout = text.count > 12 || text.isEmpty ? .seconds(1) : .seconds(20)
    settings.connectTimeout = .seconds(20)
    let store = try RedisStore(settings, log: .silent)
    for _ in 0..<3 {
      try await eventually("answered") { (try? await store.load([StoreName(2)])) == [Array("b".utf8)] }
      await #expect(throws: StoreError.self) { try await store.load([StoreName(1)]) }
    }
    // Each time on a new connection.
    #expect(fake.connections > 3)
  }

  @Test("A server whose answer is too long is disconnected")
  func tooLong() async throws {
    let fake = try FakeRedis { _, peer in
      peer.send("*1\r\n$2000000\r\n")
      for _ in 0..<2000 { peer.send([UInt8](repeating: 0x78, count: 1000)) }
    }
    var settings = fake.settings
    settings.timeout = .seconds(20)
    let store = try RedisStore(settings, log: .silent)
    await #expect(throws: StoreError("the server's answer is too long")) { try await store.load([StoreName(1)]) }
  }

  @Test("A server that sends replies without being asked is disconnected")
  func unasked() async throws {
    let talkative = try FakeRedis(connection: { peer in
      for _ in 0..<100_000 { peer.send("+OK\r\n") }
    })
    var settings = talkative.settings
    settings.timeout = .seconds(20)
    let other = try RedisStore(settings, log: .silent)
    try await eventually("disconnected") { other.condition.problem == StoreError.unexpected.reason }
    await #expect(throws: StoreError.unexpected) { try await other.load([StoreName(1)]) }
  }

  @Test("A server that answers a byte at a time is given no more time than others")
  func slow() async throws {
    let fake = try FakeRedis { _, peer in
      for byte in Array("*1\r\n$1000\r\n".utf8) + [UInt8](repeating: 0x78, count: 1000) {
        peer.send([byte])
        usleep(20_000)
      }
    }
    var settings = fake.settings
    settings.timeout = .milliseconds(500)
    let store = try RedisStore(settings, log: .silent)
    try await eventually("connected") { store.condition.problem == nil }
    let failed = try #require(await failure { _ = try await store.load([StoreName(1)]) })
    #expect(failed.took >= .milliseconds(500) && failed.took < .seconds(10))
    #expect(failed.reason == "no answer within 0.5 seconds")
  }

  @Test("A server that accepts connections but does not answer is known to be down", arguments: [true, false])
  func silent(saysHello: Bool) async throws {
    let fake = try FakeRedis(connection: { peer in
      if saysHello, peer.command() != nil { peer.send("+OK\r\n-ERR\r\n") }
      while peer.command() != nil {}
    })
    var settings = fake.settings
    settings.timeout = .milliseconds(100)
    settings.connectTimeout = .milliseconds(400)
    let store = try RedisStore(settings, log: .silent)
    let failed = try #require(await failure { _ = try await store.load([StoreName(1)]) })
    #expect(failed.took < .seconds(10))
    let reason = saysHello ? "no answer within 0.1 seconds" : "the server does not answer within 0.4 seconds"
    try await eventually("known") { store.condition.problem == reason }
  }

  @Test("An outage and its end are logged once each, however many attempts there are")
  func logging() async throws {
    let server = try await RedisServer()
    let lines = LogLines()
    let store = try RedisStore(server.settings, log: lines.logger)
    _ = try await recover(store)
    try await server.kill()
    try await eventually("noticed") { store.condition.problem != nil }
    try await server.restart()
    _ = try await recover(store)
    #expect(lines.count(of: "the store is connected") == 2)
    #expect(lines.count(of: "the store is out of reach") <= 2)
    #expect(lines.contain("redis+unix://"))
  }
}
