package import Foundation

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

  /// `arguments` are given to every node. With `certificates`, made by `RedisServer`, all is by TLS.
  package init(
    primaries count: Int = 3, hasReplicas: Bool = false, certificates: URL? = nil, _ arguments: [String] = []
  ) async throws {
    // Each node is told of all at its start, which is sooner than they would learn of each other.
    let places = try (0..<(hasReplicas ? 2 * count : count)).map { index in
      (id: String(repeating: "\(index)", count: 40), port: try RedisServer.freePort(), bus: try RedisServer.freePort())
    }
    var nodes: [Node] = []
    for (index, place) in places.enumerated() {
      let lines = places.enumerated().map { number, place in
        let (role, slots) =
          number < count
          ? ("master -", " \(number * Self.slots / count)-\((number + 1) * Self.slots / count - 1)")
          : ("slave \(places[number - count].id)", "")
        let flags = (number == index ? "myself," : "") + role
        return "\(place.id) 127.0.0.1:\(place.port)@\(place.bus) \(flags) 0 0 \(number % count + 1) connected\(slots)\n"
      }
      let directory = try RedisServer.makeDirectory()
      try Data((lines.joined() + "vars currentEpoch \(count) lastVoteEpoch 0\n").utf8).write(
        to: directory.appendingPathComponent("nodes.conf"))
      let server = try await RedisServer(
        [
          certificates == nil ? "--port" : "--tls-port", "\(place.port)", "--cluster-enabled", "yes", "--cluster-port",
          "\(place.bus)",
          "--cluster-node-timeout", "1000", "--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0",
        ] + (certificates.map(Self.tls) ?? []) + arguments, in: directory)
      nodes.append(Node(server: server, port: place.port, id: place.id))
    }
    (primaries, replicas) = (Array(nodes[..<count]), Array(nodes[count...]))
    for node in nodes {
      try await node.server.wait(for: "cluster") { try await $0.ask("CLUSTER", "INFO").contains("cluster_state:ok") }
    }
    for node in replicas {
      try await node.server.wait(for: "data") {
        try await $0.ask("INFO", "replication").contains("master_link_status:up")
      }
    }
  }

  private static func tls(_ directory: URL) -> [String] {
    func file(_ name: String) -> String { directory.appendingPathComponent(name).path }
    return [
      "--tls-cluster", "yes", "--tls-replication", "yes", "--tls-cert-file", file("server.pem"), "--tls-key-file",
      file("server.key"), "--tls-ca-cert-file", file("ca.pem"),
    ]
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
    let keys = try await source.server.ask("--raw", "CLUSTER", "GETKEYSINSLOT", "\(slot)", "1000").split(
      separator: "\n")
    if keys.isEmpty { return }
    try await source.server.ask(
      ["MIGRATE", "127.0.0.1", "\(target.port)", "", "0", "5000", "KEYS"] + keys.map(String.init))
  }

  /// The primary that has `slot` to begin with.
  package func primary(of slot: Int) -> Node {
    primaries[(0..<primaries.count).last { $0 * Self.slots / primaries.count <= slot } ?? 0]
  }
}
