import Basics
import BrokerCore
import TestSupport
import Testing

@testable import Stores

/// What a server refuses is known before anybody asks for it, and so is that it does it again.
@Suite(.serialized, .timeLimit(.minutes(2))) struct RedisConditionTests {
  private static let writing: Set<StoreOperation> = [.claim, .save, .remove]

  /// A store that tries again what was refused as soon as it may, and the lines that it logs.
  private func store(
    _ server: RedisServer, _ change: (inout RedisSettings) -> Void = { _ in }
  ) throws -> (RedisStore, LogLines) {
    let lines = LogLines()
    var settings = server.settings
    settings.trialInterval = .milliseconds(50)
    change(&settings)
    return (try RedisStore(settings, log: lines.logger), lines)
  }

  /// Waits until exactly this is known to be refused, and looks whether the log has one line about each.
  private func expect(_ refused: Set<StoreOperation>, by store: RedisStore, _ lines: LogLines) async throws {
    try await eventually("\(refused)") { Set(store.condition.refusals.keys) == refused }
    #expect(Set(try await store.examine().keys) == refused)
    #expect(store.condition.problem == nil)
    for operation in StoreOperation.allCases {
      let line = "warning the store refuses an operation operation=\(operation) "
      if refused.contains(operation) { try await eventually("\(operation) told") { lines.count(of: line) > 0 } }
      #expect(lines.count(of: line) == (refused.contains(operation) ? 1 : 0), "\(operation)")
    }
  }

  /// Waits until nothing is refused any more, though nobody asks for anything, and looks at the log.
  private func expectAll(by store: RedisStore, after refused: Set<StoreOperation>, _ lines: LogLines) async throws {
    try await eventually("recovered") { store.condition.refusals.isEmpty && store.condition.problem == nil }
    // The condition changes first, and the log tells of it a moment later.
    for operation in refused {
      let line = "info the store does an operation again operation=\(operation) "
      try await eventually("\(operation) told") { lines.count(of: line) > 0 }
      #expect(lines.count(of: line) == 1, "\(operation)")
    }
  }

  struct Right: CustomTestStringConvertible {
    /// What the user of docs/fleet.md gets besides.
    let rules: [String]
    let refused: Set<StoreOperation>

    init(_ rules: String..., refused: StoreOperation...) {
      self.rules = rules
      self.refused = Set(refused)
    }

    var testDescription: String { rules.joined(separator: " ") }
  }

  @Test(
    "A right that the user of docs/fleet.md lacks is known by what cannot be done without it, and its return is seen",
    arguments: [
      Right("-mget", refused: .load, .claim), Right("-eval", refused: .claim, .save),
      Right("-set", refused: .claim, .save), Right("-get", refused: .claim, .save), Right("-pttl", refused: .claim),
      Right("-pexpire", refused: .claim), Right("-del", refused: .save, .remove), Right("-publish", refused: .listen),
      Right("-subscribe", refused: .listen), Right("resetchannels", refused: .listen),
      Right("resetchannels", "&other:changes", refused: .listen),
      Right("resetkeys", refused: .load, .claim, .save, .remove),
      Right("resetkeys", "~other:*", refused: .load, .claim, .save, .remove),
      Right("resetkeys", "%R~token-broker:*", refused: .claim, .save, .remove), Right("-client", "-select"),
    ])
  func rights(_ right: Right) async throws {
    let server = try await RedisServer()
    try await server.ask(["ACL", "SETUSER", RedisServer.user] + right.rules)
    let (store, lines) = try store(server)
    try await expect(right.refused, by: store, lines)
    try await server.ask(["ACL", "SETUSER", RedisServer.user] + RedisServer.rules())
    try await expectAll(by: store, after: right.refused, lines)
  }

  @Test("No claim is of use where none can be given up, and one refusal alone does not say so")
  func claims() async throws {
    let server = try await RedisServer()
    let (store, _) = try store(server) { $0.trialInterval = .seconds(100) }
    #expect(try await store.examine().isEmpty)
    try await server.ask("ACL", "SETUSER", RedisServer.user, "-get")
    let claim = try #require(try await store.claim(StoreName(1), for: .seconds(60), loading: []).claim)
    await #expect(throws: StoreError.self) { try await store.save([], settling: claim) }
    #expect(store.isClaimable(StoreName(1)) && !store.condition.can(.save))
    _ = try await store.examine()
    #expect(!store.isClaimable(StoreName(1)))
    try await server.ask("ACL", "SETUSER", RedisServer.user, "+get")
    #expect(try await store.examine().isEmpty && store.isClaimable(StoreName(1)))
  }

  enum State: CaseIterable {
    case full, withoutReplicas, replica

    var refused: Set<StoreOperation> { self == .full ? [.claim, .save] : RedisConditionTests.writing }

    var commands: (begin: [String], end: [String]) {
      switch self {
      case .full: (["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "0"])
      case .withoutReplicas:
        (["CONFIG", "SET", "min-replicas-to-write", "1"], ["CONFIG", "SET", "min-replicas-to-write", "0"])
      case .replica: (["REPLICAOF", "127.0.0.1", "1"], ["REPLICAOF", "NO", "ONE"])
      }
    }
  }

  @Test(
    "A server that does not write is known by that, and its end is seen though nobody asks", arguments: State.allCases)
  func states(_ state: State) async throws {
    let server = try await RedisServer()
    try await server.ask(state.commands.begin)
    let (store, lines) = try store(server)
    try await expect(state.refused, by: store, lines)
    try await server.ask(state.commands.end)
    try await expectAll(by: store, after: state.refused, lines)
    #expect(lines.count(of: "the store is out of reach") == 0)
    #expect(lines.count(of: "the store is connected") == 1)
  }

  @Test("What is refused only later is known once it was asked for, and the rest by the trial that follows")
  func later() async throws {
    let server = try await RedisServer()
    let (store, lines) = try store(server)
    try await eventually("tried") { try await server.ask("INFO", "commandstats").contains("cmdstat_del:") }
    #expect(try await store.examine().isEmpty)
    try await server.ask("REPLICAOF", "127.0.0.1", "1")
    await #expect(throws: StoreError.self) {
      try await store.claim(StoreName(1), for: .seconds(60), loading: [])
    }
    try await expect(Self.writing, by: store, lines)
  }

  @Test(
    "A command that was renamed is known by what cannot be done without it",
    arguments: [
      ("MGET", [.load, .claim]), ("EVAL", [.claim, .save]), ("DEL", [.save, .remove]), ("PEXPIRE", [.claim]),
      ("PUBLISH", [.listen]), ("SUBSCRIBE", [.listen]), ("CLIENT", []),
    ] as [(String, Set<StoreOperation>)])
  func renamed(_ command: String, _ refused: Set<StoreOperation>) async throws {
    let server = try await RedisServer(["--rename-command", command, ""])
    let (store, lines) = try store(server) { ($0.user, $0.password) = (nil, nil) }
    try await expect(refused, by: store, lines)
  }

  @Test("A trial leaves nothing behind, and disturbs no claim")
  func traces() async throws {
    let server = try await RedisServer()
    let (store, _) = try store(server)
    let claim = try #require(try await store.claim(StoreName(1), for: .seconds(60), loading: []).claim)
    #expect(try await store.examine().isEmpty)
    #expect(try await store.renew(claim, for: .seconds(60)))
    try await eventually("clean") { try await server.keys("*").count == 1 }
  }

  @Test("Who asks what a server does that is out of reach is told so")
  func outOfReach() async throws {
    let server = try await RedisServer()
    try await server.kill()
    let (store, _) = try store(server)
    let error = await #expect(throws: StoreError.self) { try await store.examine() }
    #expect(error?.isRefusal == false && store.condition.refusals.isEmpty)
  }

  @Test("Once it writes again, the store is given back what it did not take")
  func recovery() async throws {
    let server = try await RedisServer()
    try await server.ask(State.full.commands.begin)
    let (store, lines) = try store(server)
    try await expect(State.full.refused, by: store, lines)
    try await server.ask(State.full.commands.end)
    for await _ in store.recoveries { break }
    #expect(store.condition.can(.save))
  }

  @Test("A cluster that does not tell who has the keys is known by that, and is used when it tells")
  func secretiveCluster() async throws {
    let cluster = try await RedisServerCluster()
    for node in cluster.primaries { try await node.server.ask("ACL", "SETUSER", RedisServer.user, "-cluster") }
    let (store, _) = try store(cluster.primaries[0].server) {
      $0.server = .tcp(host: "127.0.0.1", port: cluster.primaries[0].port)
    }
    let reason = "it is a node of a cluster that does not tell who has the keys (MOVED)"
    #expect(try await store.examine()[.load] == "MGET was refused: \(reason)")
    for node in cluster.primaries { try await node.server.ask("ACL", "SETUSER", RedisServer.user, "+cluster|slots") }
    try await eventually("recovered") { store.condition.refusals.isEmpty && store.condition.problem == nil }
    for index in 0..<3 { #expect(try await store.mint(cluster.name(at: index))) }
  }

  @Test("What one node of a cluster alone refuses is known, and so is its end, though nobody asks")
  func cluster() async throws {
    let cluster = try await RedisServerCluster()
    let node = cluster.primaries[2].server
    try await node.ask("ACL", "SETUSER", RedisServer.user, "-eval")
    let (store, lines) = try store(cluster.primaries[0].server) {
      $0.server = .tcp(host: "127.0.0.1", port: cluster.primaries[0].port)
    }
    try await expect([.claim, .save], by: store, lines)
    // Claims are of use at the others.
    for number in 0..<20 as Range<UInt8> {
      let slot = RedisSlot.number(of: store.keys.value(StoreName(number)))
      #expect(store.isClaimable(StoreName(number)) == (cluster.primary(of: slot).port != cluster.primaries[2].port))
    }
    try await node.ask("ACL", "SETUSER", RedisServer.user, "+eval")
    try await expectAll(by: store, after: [.claim, .save], lines)
  }
}
