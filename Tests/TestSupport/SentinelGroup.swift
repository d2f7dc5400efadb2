import Foundation
import Glibc

/// A primary of Debian's redis-server with its replicas, and the Sentinels that watch over them.
package final class SentinelGroup {
  package static let name = "tokens"

  /// The first one is the primary at the start.
  package let servers: [RedisServer]
  package let ports: [UInt16]
  package let sentinels: [SentinelProcess]

  /// Returns when every replica and Sentinel is known to every Sentinel. `settings` are for the servers and the
  /// Sentinels, `lines` for the Sentinels alone.
  package init(
    servers count: Int = 2, sentinels sentinelCount: Int = 3, settings: [(name: String, value: String)] = [],
    lines: [String] = []
  ) async throws {
    let ports = try (0..<count).map { _ in try Self.freePort() }
    let port = settings.contains { $0.name == "tls-cert-file" } ? "--tls-port" : "--port"
    let common = ["--repl-diskless-sync-delay", "0"] + settings.flatMap { ["--\($0)", $1] }
    var servers = [try await RedisServer([port, "\(ports[0])"] + common)]
    for number in ports.dropFirst() {
      let server = try await RedisServer([port, "\(number)", "--replicaof", "127.0.0.1 \(ports[0])"] + common)
      // A Sentinel that finds it later looks for it only each ten seconds.
      try await server.wait(for: "replication") { try await $0.ask("ROLE").contains("connected") }
      servers.append(server)
    }
    let monitor =
      settings.map { "\($0) \($1)" } + [
        "sentinel monitor \(Self.name) 127.0.0.1 \(ports[0]) \(sentinelCount / 2 + 1)",
        "sentinel down-after-milliseconds \(Self.name) 500", "sentinel failover-timeout \(Self.name) 3000",
      ]
    var sentinels: [SentinelProcess] = []
    for _ in 0..<sentinelCount { sentinels.append(try await SentinelProcess(monitor + lines)) }
    for sentinel in sentinels {
      try await eventually("all known") {
        let facts = try await sentinel.ask("SENTINEL", "MASTER", Self.name)
        return facts.contains("num-slaves\n\(count - 1)\n")
          && facts.contains("num-other-sentinels\n\(sentinelCount - 1)\n")
      }
    }
    (self.servers, self.ports, self.sentinels) = (servers, ports, sentinels)
  }

  /// A port that was free a moment ago.
  package static func freePort() throws -> UInt16 {
    let listener = try RawListener()
    defer { listener.close() }
    return listener.port
  }

  /// Begins a planned failover, as soon as a replica is known to be good enough for that.
  package func failOver() async throws {
    try await eventually("a failover") {
      try await sentinels[0].ask("SENTINEL", "FAILOVER", Self.name).hasPrefix("OK")
    }
  }

  /// Hears of the switches that any Sentinel tells of.
  package func switches() async throws -> [ChildProcess] {
    var listeners: [ChildProcess] = []
    for sentinel in sentinels {
      let listener = try ChildProcess("redis-cli", sentinel.arguments + ["SUBSCRIBE", "+switch-master"])
      try await listener.wait(for: "subscription") { $0.output.contains("subscribe") }
      listeners.append(listener)
    }
    return listeners
  }
}

/// Debian's redis-server as a Sentinel, in a directory of its own.
package final class SentinelProcess {
  package let port: UInt16
  private let directory: URL
  private let child: ChildProcess
  private let password: String?

  package init(_ lines: [String]) async throws {
    port = try SentinelGroup.freePort()
    directory = try RedisServer.makeDirectory()
    password = lines.first { $0.hasPrefix("requirepass ") }.map { String($0.dropFirst("requirepass ".count)) }
    // It writes what it learns to its configuration.
    let file = directory.appendingPathComponent("sentinel.conf")
    let socket = directory.appendingPathComponent("s").path
    let ports = lines.contains { $0.hasPrefix("tls-cert-file") } ? "port 0\ntls-port \(port)" : "port \(port)"
    let text = ([ports, "unixsocket \(socket)", "dir \(directory.path)"] + lines).joined(separator: "\n")
    try Data((text + "\n").utf8).write(to: file)
    child = try ChildProcess("redis-server", [file.path, "--sentinel"])
    try await child.wait(for: "identity") { $0.output.contains("Sentinel ID is") }
  }

  deinit {
    child.signal(SIGKILL)
    try? FileManager.default.removeItem(at: directory)
  }

  /// What redis-cli is told to reach it.
  package var arguments: [String] {
    ["-s", directory.appendingPathComponent("s").path] + (password.map { ["--no-auth-warning", "-a", $0] } ?? [])
  }

  @discardableResult
  package func ask(_ words: String...) async throws -> String {
    try await ChildProcess.run("redis-cli", arguments + words).output
  }
}
