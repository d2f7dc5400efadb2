import Clocks
import Foundation
import Logging
import OAuth
import Stores
import TestSupport
import TokenBroker

/// Debian's redis-server on a Unix socket in a directory of its own, without anything kept on disk.
final class RedisServer {
  let directory: URL
  private let arguments: [String]
  private var child: ChildProcess

  var socket: String { directory.appendingPathComponent("s").path }

  /// `arguments` follow those that every server here gets.
  init(_ arguments: [String] = [], in directory: URL? = nil) async throws {
    self.directory = try directory ?? Self.makeDirectory()
    self.arguments =
      [
        "--port", "0", "--unixsocket", self.directory.appendingPathComponent("s").path, "--save", "", "--appendonly",
        "no",
        "--daemonize", "no", "--dir", self.directory.path,
      ] + arguments
    child = try await Self.start(self.arguments)
  }

  deinit {
    child.signal(SIGKILL)
    try? FileManager.default.removeItem(at: directory)
  }

  static func makeDirectory() throws -> URL {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent(
      "redis-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    return directory
  }

  /// One that nobody listened on a moment ago.
  static func freePort() throws -> UInt16 {
    let listener = try RawListener()
    defer { listener.close() }
    return listener.port
  }

  private static func start(_ arguments: [String]) async throws -> ChildProcess {
    let child = try ChildProcess("redis-server", arguments)
    _ = try await child.wait(for: "server that accepts connections") { child in
      child.output.contains("eady to accept connections") ? true : nil
    }
    return child
  }

  /// Pauses it, and lets it go on.
  func pause() { child.signal(SIGSTOP) }
  func resume() { child.signal(SIGCONT) }

  func kill() async throws {
    child.signal(SIGKILL)
    try await child.end()
  }

  /// Starts it again where it was, empty.
  func restart() async throws { child = try await Self.start(arguments) }

  /// What somebody else finds on the server.
  @discardableResult
  func ask(_ words: String...) async throws -> String {
    let answer = try await ChildProcess.run("redis-cli", ["-s", socket] + words)
    return answer.output.trimmingCharacters(in: .newlines)
  }

  /// With time enough for a machine that has much else to do.
  var settings: RedisSettings {
    var settings = RedisSettings(.unix(path: socket))
    settings.timeout = .seconds(20)
    settings.connectTimeout = .seconds(20)
    return settings
  }

  /// Waits until so many clients hear of changes.
  func waitForSubscriptions(_ count: Int) async throws {
    try await eventually("subscribed") {
      try await ask("PUBSUB", "NUMSUB", "token-broker:changes").hasSuffix("\n\(count)") ? true : nil
    }
  }

  func store(_ change: (inout RedisSettings) -> Void = { _ in }) throws -> RedisStore {
    var settings = settings
    change(&settings)
    return try RedisStore(settings, log: .silent)
  }
}

extension Logger {
  static var silent: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}

extension StoreName {
  /// A name of 32 equal bytes.
  init(_ byte: UInt8) { self.init([UInt8](repeating: byte, count: 32)) }
}

extension StoreAnswer {
  var claim: StoreClaim? {
    if case .granted(let claim) = outcome { return claim }
    return nil
  }

  /// How long somebody else has it.
  var taken: Duration? {
    if case .taken(let rest) = outcome { return rest }
    return nil
  }
}

/// Waits until `body` gives a value, asking again and again, for half a minute at the most.
@discardableResult
func eventually<Value>(_ what: String, _ body: () async throws -> Value?) async throws -> Value {
  let deadline = Instant.now.advanced(by: .seconds(30))
  while Instant.now < deadline {
    if let value = try await body() { return value }
    try await Task.sleep(for: .milliseconds(5))
  }
  throw ChildProcess.Failure(description: "never \(what)")
}
