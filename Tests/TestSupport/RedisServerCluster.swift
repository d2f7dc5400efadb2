import Foundation

/// A cluster of Debian's redis-servers: primaries that share the slots evenly, and as many replicas if wanted.
package final class RedisServerCluster {
  package struct Node {
    package let server: RedisServer
    package let port: UInt16
    package let id: String
  }

  package let primaries: [Node]
  /// In the order of the primaries whose data they have.
  package let replicas: [Node]

  package static let slots = 16384

  /// `arguments` are given to every node.
  package init(primaries count: Int = 3, hasReplicas: Bool = false, _ arguments: [String] = []) async throws {
    var nodes: [Node] = []
    for _ in 0..<(hasReplicas ? 2 * count : count) { nodes.append(try await Self.start(arguments)) }
    (primaries, replicas) = (Array(nodes[..<count]), Array(nodes[count...]))
    for (index, node) in nodes.enumerated() {
      try await node.server.ask("CLUSTER", "SET-CONFIG-EPOCH", "\(index + 1)")
      if index < count {
        let (first, next) = (index * Self.slots / count, (index + 1) * Self.slots / count)
        try await node.server.ask("CLUSTER", "ADDSLOTSRANGE", "\(first)", "\(next - 1)")
      }
      if index > 0 { try await nodes[0].server.ask("CLUSTER", "MEET", "127.0.0.1", "\(node.port)", node.busPort) }
    }
    for (replica, primary) in zip(replicas, primaries) {
      try await replica.server.wait(for: "replica") {
        try await $0.ask("CLUSTER", "REPLICATE", primary.id) == "OK"
      }
    }
    for node in nodes {
      try await node.server.wait(for: "cluster") { try await $0.ask("CLUSTER", "INFO").contains("cluster_state:ok") }
      try await node.server.wait(for: "replicas that are known") {
        let known = try await $0.ask("CLUSTER", "SLOTS")
        return nodes.allSatisfy { known.contains($0.id) }
      }
    }
    for node in replicas {
      try await node.server.wait(for: "data") {
        try await $0.ask("INFO", "replication").contains("master_link_status:up")
      }
    }
  }

  private static func start(_ arguments: [String]) async throws -> Node {
    let (port, bus) = (try RedisServer.freePort(), try RedisServer.freePort())
    let server = try await RedisServer(
      [
        "--port", "\(port)", "--cluster-enabled", "yes", "--cluster-port", "\(bus)", "--cluster-node-timeout", "1000",
        "--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0",
      ] + arguments)
    return Node(server: server, port: port, id: try await server.ask("CLUSTER", "MYID"))
  }

  /// Says at every node that `slot` belongs to `node`.
  package func assign(_ slot: Int, to node: Node) async throws {
    for each in [node] + primaries {
      try await each.server.ask("CLUSTER", "SETSLOT", "\(slot)", "NODE", node.id)
    }
  }

  /// Begins to move `slot`: until it is assigned anew its keys may be at either node.
  package func beginMove(of slot: Int, from source: Node, to target: Node) async throws {
    try await target.server.ask("CLUSTER", "SETSLOT", "\(slot)", "IMPORTING", source.id)
    try await source.server.ask("CLUSTER", "SETSLOT", "\(slot)", "MIGRATING", target.id)
  }

  /// Moves what `slot` has at `source` by now.
  package func moveKeys(of slot: Int, from source: Node, to target: Node) async throws {
    let keys = try await source.server.ask("--raw", "CLUSTER", "GETKEYSINSLOT", "\(slot)", "1000").split(separator: "\n")
    if keys.isEmpty { return }
    try await source.server.ask(
      ["MIGRATE", "127.0.0.1", "\(target.port)", "", "0", "5000", "KEYS"] + keys.map(String.init))
  }

  /// The primary that has `slot` to begin with.
  package func primary(of slot: Int) -> Node {
    primaries[(0..<primaries.count).last { $0 * Self.slots / primaries.count <= slot } ?? 0]
  }
}

extension RedisServerCluster.Node {
  fileprivate var busPort: String {
    get async throws { try await server.ask("--raw", "CONFIG", "GET", "cluster-port").components(separatedBy: "\n")[1] }
  }
}
