/// Which node of a cluster has which slot, as a node tells it.
struct RedisTopology: Equatable {
  typealias Node = RedisSettings.Server

  /// A primary and the replicas of what it has.
  struct Shard: Equatable {
    var primary: Node
    var replicas: [Node] = []
  }

  private(set) var shards: [Shard] = []
  /// For each slot the number of its shard.
  private var owners = [UInt16](repeating: nobody, count: RedisSlot.count)

  private static let nobody = UInt16.max
  static let mostShards = 128

  /// From a node's answer to CLUSTER SLOTS; nil if it is no such answer. `node` is the one that was asked: what leaves
  /// out the host means that one's.
  init?(_ reply: RedisReply, from node: Node) {
    guard case .array(let ranges) = reply else { return nil }
    for range in ranges {
      guard case .array(let parts) = range, parts.count >= 3, case .integer(let first) = parts[0],
        case .integer(let last) = parts[1], 0 <= first, first <= last, last < RedisSlot.count
      else { return nil }
      // A node whose name is unknown cannot be asked; the slots are then nobody's.
      guard let primary = Self.node(parts[2], from: node) else { continue }
      let replicas = parts.dropFirst(3).compactMap { Self.node($0, from: node) }
      guard let number = number(of: Shard(primary: primary, replicas: replicas)) else { return nil }
      for slot in Int(first)...Int(last) { owners[slot] = number }
    }
  }

  private static func node(_ reply: RedisReply, from asked: Node) -> Node? {
    guard case .array(let parts) = reply, parts.count >= 2, case .integer(let port) = parts[1] else { return nil }
    switch parts[0] {
    case .none: return node(host: "", port: Int(port), from: asked)
    case .string(let host): return node(host: String(decoding: host, as: UTF8.self), port: Int(port), from: asked)
    default: return nil
    }
  }

  /// nil where there is no name, which is written as `?`, or a wrong one.
  static func node(host: String, port: Int, from asked: Node) -> Node? {
    guard let port = UInt16(exactly: port), port > 0, host.utf8.count <= 255,
      host.utf8.allSatisfy({ 0x21...0x7E ~= $0 }), host != "?"
    else { return nil }
    if !host.isEmpty { return .tcp(host: host, port: port) }
    if case .tcp(let host, _) = asked { return .tcp(host: host, port: port) }
    return asked
  }

  private mutating func number(of shard: Shard) -> UInt16? {
    if let index = shards.firstIndex(where: { $0.primary == shard.primary }) { return UInt16(index) }
    if shards.count >= Self.mostShards { return nil }
    shards.append(shard)
    return UInt16(shards.count - 1)
  }

  /// Who has a slot; nil if nobody has.
  func shard(of slot: Int) -> Shard? {
    owners[slot] == Self.nobody ? nil : shards[Int(owners[slot])]
  }

  /// Notes that a node says another has the slot.
  mutating func move(_ slot: Int, to node: Node) {
    if let number = number(of: Shard(primary: node)) { owners[slot] = number }
  }

  /// Whether every slot has an owner.
  var isWhole: Bool { !owners.contains(Self.nobody) }

  func isPrimary(_ node: Node) -> Bool { shards.contains { $0.primary == node } }

  func isReplica(_ node: Node) -> Bool { shards.contains { $0.replicas.contains(node) } }

  func contains(_ node: Node) -> Bool { isPrimary(node) || isReplica(node) }
}

extension RedisSettings.Server {
  /// It, for a reader.
  var place: String {
    switch self {
    case .tcp(let host, let port): "\(host.contains(":") ? "[\(host)]" : host):\(port)"
    case .unix(let path): path
    case .primary(let name, _): name
    }
  }
}
