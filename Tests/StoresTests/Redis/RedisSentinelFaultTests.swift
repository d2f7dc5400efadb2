import Basics
import BrokerCore
import Synchronization
import TestSupport
import Testing

@testable import Stores

/// Sentinels that know little, say nonsense, or say nothing.
@Suite(.serialized, .timeLimit(.minutes(2))) struct RedisSentinelFaultTests {
  /// A Sentinel that says what a test wants it to.
  private final class FakeSentinel: Sendable {
    /// The answers to the two questions.
    let says: Mutex<(master: String, address: String)>
    let asked = Watched(0)
    private let subscriber = Mutex<FakeRedis.Peer?>(nil)
    private let fake: Mutex<FakeRedis?> = Mutex(nil)

    init(_ port: UInt16, epoch: Int) throws {
      says = Mutex(Self.answers(port, epoch: epoch))
      let server = try FakeRedis(connection: { [weak self] peer in
        while let command = peer.command() {
          switch command[0] {
          case "PING": peer.send("+PONG\r\n")
          case "SUBSCRIBE":
            peer.send("*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n")
            self?.subscriber.withLock { $0 = peer }
          case "SENTINEL" where command[1] == "MASTER": peer.send(self?.says.withLock(\.master) ?? "")
          case "SENTINEL":
            peer.send(self?.says.withLock(\.address) ?? "")
            self?.asked.change { $0 += 1 }
          default: peer.send("+OK\r\n")
          }
        }
      })
      fake.withLock { $0 = server }
    }

    static func answers(_ port: UInt16, epoch: Int) -> (master: String, address: String) {
      (
        "*4\r\n$4\r\nname\r\n$6\r\ntokens\r\n$12\r\nconfig-epoch\r\n$1\r\n\(epoch)\r\n",
        "*2\r\n$9\r\n127.0.0.1\r\n$\("\(port)".utf8.count)\r\n\(port)\r\n"
      )
    }

    func say(_ port: UInt16, epoch: Int) { says.withLock { $0 = Self.answers(port, epoch: epoch) } }

    func tell(from old: UInt16, to new: UInt16) async throws {
      let payload = "tokens 127.0.0.1 \(old) 127.0.0.1 \(new)"
      try await eventually("a subscriber") { subscriber.withLock { $0 != nil } }
      subscriber.withLock {
        $0?.send("*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$\(payload.utf8.count)\r\n\(payload)\r\n")
      }
    }

    /// Returns when it has been asked so many times more.
    func wait(forQuestions count: Int) async throws {
      let before = asked.value
      try await asked.wait(for: "questions") { asked.value >= before + count ? true : nil }
    }

    var server: RedisSettings.Server { .unix(path: fake.withLock { $0?.socket ?? "" }) }
  }

  private static func server() async throws -> (server: RedisServer, port: UInt16) {
    let port = try SentinelGroup.freePort()
    return (try await RedisServer(["--port", "\(port)"]), port)
  }

  private static func store(
    _ sentinels: FakeSentinel..., timeout: Duration = .seconds(20), log: LogLines = LogLines()
  ) throws -> RedisStore {
    var settings = RedisSettings(.primary(named: "tokens", by: sentinels.map(\.server)))
    settings.timeout = timeout
    settings.connectTimeout = .seconds(20)
    settings.trialInterval = nil
    return try RedisStore(settings, log: log.logger)
  }

  private func save(_ store: RedisStore) async throws {
    try await store.save([StoreEntry(name: StoreName(1), value: [1], lifetime: .seconds(60))], settling: nil)
  }

  private static func isUsed(_ server: RedisServer) async throws -> Bool {
    try await server.ask("CLIENT", "LIST").contains("name=token-broker")
  }

  @Test("A switch that nobody has told of is found by asking")
  func untold() async throws {
    let ((one, first), (other, second)) = try await (Self.server(), Self.server())
    let sentinel = try FakeSentinel(first, epoch: 1)
    let store = try Self.store(sentinel)
    try await save(store)
    #expect(try await one.keys("*").count == 1)
    sentinel.say(second, epoch: 2)
    try await eventually("moved") {
      try? await save(store)
      return try await other.keys("*").count == 1
    }
    try await eventually("left") { try await !Self.isUsed(one) }
  }

  @Test("A switch counts when it is told, though the Sentinel still answers with the old primary")
  func told() async throws {
    let ((one, first), (other, second)) = try await (Self.server(), Self.server())
    let sentinel = try FakeSentinel(first, epoch: 1)
    let log = LogLines()
    let store = try Self.store(sentinel, log: log)
    try await save(store)
    try await sentinel.tell(from: first, to: second)
    try await eventually("left") { try await !Self.isUsed(one) }
    try await sentinel.wait(forQuestions: 2)
    try await save(store)
    #expect(try await other.keys("*").count == 1)
    #expect(try await !Self.isUsed(one))
    #expect(log.count(of: "the store's primary has moved") == 1)
    #expect(!log.contain("out of reach"))
  }

  @Test("While a new primary does not answer, requests fail at once, and it is used when another does")
  func silentPrimary() async throws {
    let ((one, first), (other, second)) = try await (Self.server(), Self.server())
    let silent = try RawListener()
    defer { silent.close() }
    let sentinel = try FakeSentinel(first, epoch: 1)
    let store = try Self.store(sentinel, timeout: .milliseconds(500))
    try await eventually("used") { (try? await save(store)) != nil }
    sentinel.say(silent.port, epoch: 2)
    let reason = "not connected to the new primary yet"
    try await eventually("known") { store.condition.problem == reason }
    await #expect(throws: StoreError(reason)) { try await save(store) }
    sentinel.say(second, epoch: 3)
    try await eventually("moved") {
      try? await save(store)
      return try await other.keys("*").count == 1
    }
    withExtendedLifetime(one) {}
  }

  @Test("A Sentinel that has missed a switch is not believed")
  func stale() async throws {
    let ((one, first), (other, second)) = try await (Self.server(), Self.server())
    let (stale, sentinel) = (try FakeSentinel(first, epoch: 1), try FakeSentinel(second, epoch: 2))
    let store = try Self.store(stale, sentinel)
    try await sentinel.wait(forQuestions: 2)
    try await stale.wait(forQuestions: 2)
    try await save(store)
    #expect(try await other.keys("*").count == 1)
    #expect(try await !Self.isUsed(one))
  }

  @Test("A server that is a replica is not used, though Sentinels name it, until it is a primary")
  func replica() async throws {
    let (server, port) = try await Self.server()
    try await server.ask("REPLICAOF", "127.0.0.1", "1")
    let sentinel = try FakeSentinel(port, epoch: 1)
    let store = try Self.store(sentinel)
    try await eventually("known") {
      store.condition.problem == "the connection was refused: it is a replica, which cannot be written to (READONLY)"
    }
    try await server.ask("REPLICAOF", "NO", "ONE")
    try await eventually("used") { (try? await save(store)) != nil }
    withExtendedLifetime(sentinel) {}
  }

  @Test("While no Sentinel answers, the primary that was named last is used")
  func silence() async throws {
    let (server, port) = try await Self.server()
    let log = LogLines()
    let sentinel = try FakeSentinel(port, epoch: 1)
    let store = try Self.store(sentinel, log: log)
    try await save(store)
    sentinel.says.withLock { $0 = ("-ERR No such master with that name\r\n", "*-1\r\n") }
    try await log.wait(for: "the store's Sentinels are out of reach")
    try await save(store)
    #expect(try await server.keys("*").count == 1)
  }

  @Test(
    "An answer that makes no sense names no primary, and harms nothing",
    arguments: [
      (":1\r\n", "*-1\r\n"), ("+OK\r\n", "+OK\r\n"), ("*0\r\n", "*0\r\n"), ("*1\r\n:1\r\n", "*1\r\n:1\r\n"),
      ("*1\r\n$12\r\nconfig-epoch\r\n", "*1\r\n$1\r\nh\r\n"),
      ("*2\r\n$12\r\nconfig-epoch\r\n$1\r\nx\r\n", "*2\r\n$1\r\nh\r\n$1\r\n1\r\n"),
      ("*2\r\n$12\r\nconfig-epoch\r\n$1\r\n1\r\n", "*2\r\n$1\r\nh\r\n$1\r\n0\r\n"),
      ("*2\r\n$12\r\nconfig-epoch\r\n$1\r\n1\r\n", "*2\r\n$0\r\n\r\n$1\r\n1\r\n"),
      ("*2\r\n$12\r\nconfig-epoch\r\n$1\r\n1\r\n", "*2\r\n$3\r\na b\r\n$1\r\n1\r\n"),
      ("*2\r\n$12\r\nconfig-epoch\r\n$2\r\n-1\r\n", "*2\r\n$1\r\nh\r\n$1\r\n1\r\n"),
      ("*2\r\n$12\r\nconfig-epoch\r\n$19\r\n9223372036854775807\r\n", "*2\r\n$1\r\nh\r\n$1\r\n1\r\n"),
      ("*2\r\n$12\r\nconfig-epoch\r\n$1\r\n1\r\n", "*-1\r\n"), ("-ERR unknown command\r\n", "-ERR unknown command\r\n"),
    ])
  func nonsense(_ master: String, _ address: String) async throws {
    let (server, port) = try await Self.server()
    let sentinel = try FakeSentinel(port, epoch: 1)
    sentinel.says.withLock { $0 = (master, address) }
    let store = try Self.store(sentinel)
    try await eventually("known") { store.condition.problem?.hasPrefix("no Sentinel says where the primary") == true }
    sentinel.say(port, epoch: 1)
    try await eventually("used") { (try? await save(store)) != nil }
    withExtendedLifetime(server) {}
  }
}
