public import Foundation
import Glibc

/// Debian's redis-server on a Unix socket in a directory of its own, without anything kept on disk.
public final class RedisServer {
  public let directory: URL
  private let arguments: [String]
  private var child: ChildProcess

  public var socket: String { directory.appendingPathComponent("s").path }
  public var url: String { "redis+unix://\(socket)" }

  /// `arguments` follow those that every server here gets.
  public init(_ arguments: [String] = [], in directory: URL? = nil) async throws {
    let directory = try directory ?? Self.makeDirectory()
    self.directory = directory
    self.arguments =
      [
        "--port", "0", "--unixsocket", directory.appendingPathComponent("s").path, "--save", "", "--appendonly", "no",
        "--daemonize", "no", "--dir", directory.path,
      ] + arguments
    child = try await Self.start(self.arguments)
  }

  public static func makeDirectory() throws -> URL {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent(
      "redis-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    return directory
  }

  deinit {
    child.signal(SIGKILL)
    try? FileManager.default.removeItem(at: directory)
  }

  private static func start(_ arguments: [String]) async throws -> ChildProcess {
    let child = try ChildProcess("redis-server", arguments)
    _ = try await child.wait(for: "server that accepts connections") { child in
      child.output.contains("eady to accept connections") ? true : nil
    }
    return child
  }

  /// Pauses it, and lets it go on.
  public func pause() { child.signal(SIGSTOP) }
  public func resume() { child.signal(SIGCONT) }

  public func kill() async throws {
    child.signal(SIGKILL)
    try await child.end()
  }

  /// Starts it again where it was, empty.
  public func restart() async throws { child = try await Self.start(arguments) }

  /// What somebody else finds on the server.
  @discardableResult
  public func ask(_ words: [String]) async throws -> String {
    try await ChildProcess.run("redis-cli", ["-s", socket] + words).output.trimmingCharacters(in: .newlines)
  }

  @discardableResult
  public func ask(_ words: String...) async throws -> String { try await ask(words) }

  public func keys(_ pattern: String) async throws -> [String] {
    try await ask("--raw", "KEYS", pattern).split(separator: "\n").map(String.init)
  }

  /// Waits until `condition` holds, asking again and again, for half a minute at the most.
  public func wait(for what: String, until condition: (RedisServer) async throws -> Bool) async throws {
    try await eventually(what) { try await condition(self) }
  }

  /// Waits until so many clients hear of changes.
  public func waitForSubscriptions(_ count: Int) async throws {
    try await wait(for: "\(count) subscriptions") {
      try await $0.ask("PUBSUB", "NUMSUB", "token-broker:changes").hasSuffix("\(count)")
    }
  }
}
