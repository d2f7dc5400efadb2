import Testing

@testable import Stores

@Suite struct RedisTopologyTests {
  private let asked = RedisTopology.Node.tcp(host: "asked", port: 7000)

  private func node(_ host: String, _ port: UInt16 = 6379) -> RedisTopology.Node { .tcp(host: host, port: port) }

  private func range(_ first: Int64, _ last: Int64, _ nodes: (host: String?, port: Int64)...) -> RedisReply {
    .array(
      [.integer(first), .integer(last)]
        + nodes.map { host, port in
          .array([host.map { .string(Array($0.utf8)) } ?? .none, .integer(port), .string([0x69]), .array([])])
        })
  }

  @Test("Each slot has the primary and the replicas that were told, those between have nobody")
  func slots() throws {
    let reply = RedisReply.array([
      range(0, 99, ("a", 1), ("b", 2)), range(200, 16383, ("::1", 3)), range(150, 150, ("a", 1), ("b", 2)),
    ])
    let topology = try #require(RedisTopology(reply, from: asked))
    let first = RedisTopology.Shard(primary: node("a", 1), replicas: [node("b", 2)])
    #expect([0, 99, 150].map(topology.shard) == [first, first, first])
    #expect([200, 16383].map(topology.shard) == Array(repeating: .init(primary: node("::1", 3)), count: 2))
    #expect([100, 149, 151, 199].allSatisfy { topology.shard(of: $0) == nil })
    #expect(topology.shards.count == 2)
    #expect(!topology.isWhole)
    #expect(topology.isPrimary(node("a", 1)) && topology.isReplica(node("b", 2)) && !topology.contains(node("c")))
  }

  @Test("A node without a host is the one that was asked, and one whose host is unknown has no slot")
  func hosts() throws {
    let reply = RedisReply.array([range(0, 0, (nil, 1)), range(1, 1, ("", 2)), range(2, 2, ("?", 3))])
    let topology = try #require(RedisTopology(reply, from: asked))
    #expect((0...2).map { topology.shard(of: $0)?.primary } == [node("asked", 1), node("asked", 2), nil])
    let local = try #require(RedisTopology(reply, from: .unix(path: "/s")))
    #expect(local.shard(of: 0)?.primary == .unix(path: "/s"))
  }

  @Test("A slot that has moved is its new owner's, whether that is known or not")
  func moves() throws {
    let reply = RedisReply.array([range(0, 8191, ("a", 1), ("b", 2)), range(8192, 16383, ("c", 3))])
    var topology = try #require(RedisTopology(reply, from: asked))
    #expect(topology.isWhole)
    topology.move(7, to: node("c", 3))
    topology.move(8, to: node("d", 4))
    #expect(
      (6...9).map { topology.shard(of: $0)?.primary } == [node("a", 1), node("c", 3), node("d", 4), node("a", 1)])
  }

  @Test("No more than 128 primaries are known, by whatever way they are named")
  func tooMany() throws {
    let ranges = (0...128).map { range($0, $0, ("h", $0 + 1)) } as [RedisReply]
    #expect(RedisTopology(.array(ranges), from: asked) == nil)
    var topology = try #require(RedisTopology(.array(Array(ranges[..<128])), from: asked))
    topology.move(0, to: node("other"))
    #expect(topology.shards.count == 128 && topology.shard(of: 0)?.primary == node("h", 1))
  }

  @Test(
    "What is no answer to CLUSTER SLOTS is none",
    arguments: [
      .none, .integer(1), .array([.integer(1)]), .array([.array([])]),
      .array([.array([.integer(0), .integer(16384), .array([.string([97]), .integer(1)])])]),
      .array([.array([.integer(5), .integer(4), .array([.string([97]), .integer(1)])])]),
      .array([.array([.integer(-1), .integer(4), .array([.string([97]), .integer(1)])])]),
    ] as [RedisReply])
  func nonsense(_ reply: RedisReply) {
    #expect(RedisTopology(reply, from: asked) == nil)
  }

  @Test("A key's slot comes of what is in its first braces, or of all of it")
  func keys() {
    // From the specification, and of a real server's CLUSTER KEYSLOT.
    let slots = [
      "123456789": 0x31C3, "foo": 12182, "{foo}bar": 12182, "x{foo}{bar}": 12182, "foo{}{bar}": 8363, "": 0,
      "foo{{bar}}zap": 4015,
    ]
    for (key, slot) in slots { #expect(RedisSlot.number(of: key) == slot, "\(key)") }
  }

  @Test("Errors that lead elsewhere are told from others, and from those that lead nowhere")
  func redirections() {
    let cases: [(String, RedisRedirection?)] = [
      ("MOVED 3999 127.0.0.1:6381", .moved(slot: 3999, to: node("127.0.0.1", 6381))),
      ("MOVED 3999 ::1:6381", .moved(slot: 3999, to: node("::1", 6381))),
      ("MOVED 3999 :6381", .moved(slot: 3999, to: node("asked", 6381))),
      ("MOVED 3999 ?:6381", .moved(slot: 3999, to: nil)), ("MOVED 3999 h:0", .moved(slot: 3999, to: nil)),
      ("MOVED 16384 h:1", nil), ("MOVED -1 h:1", nil), ("MOVED", nil), ("MOVED 1", nil),
      ("ASK 3999 redis-2.internal:6379", .ask(node("redis-2.internal"))), ("ASK 3999 nowhere", .ask(nil)),
      ("TRYAGAIN Multiple keys request during rehashing of slot", .tryAgain),
      ("READONLY You can't write against a read only replica.", .demoted),
      ("ERR Attempted to access a non local key in a cluster node", .demoted),
      ("CLUSTERDOWN Hash slot not served", .down), ("CROSSSLOT Keys in request don't hash to the same slot", nil),
      ("ERR MOVED 1 h:1", nil), ("", nil),
    ]
    for (text, redirection) in cases { #expect(RedisRedirection(text, from: asked) == redirection, "\(text)") }
  }
}
