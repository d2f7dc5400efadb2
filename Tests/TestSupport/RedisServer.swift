package import Foundation
import Glibc

/// Debian's redis-server on a Unix socket in a directory of its own, without anything kept on disk.
package final class RedisServer {
  package let directory: URL
  private let arguments: [String]
  private var child: ChildProcess

  package var socket: String { directory.appendingPathComponent("s").path }
  /// Leads there as the user that docs/fleet.md has operators make.
  package var url: String { "redis+unix://\(Self.user):\(Self.password)@\(socket)" }

  package static let user = "token-broker"
  package static let password = "s3cret"

  /// The rules that docs/fleet.md has operators paste for the user.
  package static func rules() throws -> [String] {
    let lines = try Repository.text("docs/fleet.md").split(separator: "\n")
    let line = lines.first { $0.hasPrefix("ACL SETUSER \(user) ") }
    guard let words = line?.split(separator: " ").dropFirst(3), words.contains(">PASSWORD") else {
      throw ChildProcess.Failure(description: "docs/fleet.md has no user")
    }
    return words.map { $0 == ">PASSWORD" ? ">\(password)" : String($0) }
  }

  /// `arguments` follow those that every server here gets.
  package init(_ arguments: [String] = [], in directory: URL? = nil) async throws {
    let directory = try directory ?? Self.makeDirectory()
    self.directory = directory
    self.arguments =
      try [
        "--port", "0", "--unixsocket", directory.appendingPathComponent("s").path, "--save", "", "--appendonly", "no",
        "--daemonize", "no", "--dir", directory.path, "--user", Self.user,
      ] + Self.rules() + arguments
    child = try await Self.start(self.arguments)
  }

  package static func makeDirectory() throws -> URL {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent(
      "redis-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    return directory
  }

  /// A port that was free a moment ago, below those that systems give to whoever connects somewhere.
  package static func freePort() throws -> UInt16 {
    for _ in 0..<100 {
      let port = UInt16.random(in: 10_000..<32_000)
      guard let listener = try? RawListener(port) else { continue }
      listener.close()
      return port
    }
    throw ChildProcess.Failure(description: "no port is free")
  }

  /// Makes certificates and keys with `openssl`: of `ca` the ones of `server` and `client`, of `other` that of
  /// `outsider`.
  package static func makeCertificates(in directory: URL) async throws {
    let preparations = """
      authority() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \\
        -keyout $1.key -out $1.pem -subj /CN=$1 -addext keyUsage=critical,digitalSignature,keyCertSign; }
      sign() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \\
        -keyout $1.key -out $1.pem -subj /CN=$1 -CA $2.pem -CAkey $2.key \\
        -addext basicConstraints=critical,CA:FALSE -addext keyUsage=critical,digitalSignature \\
        -addext subjectAltName=$3; }
      authority ca; authority other
      sign server ca IP:127.0.0.1,DNS:localhost; sign client ca DNS:client; sign outsider other DNS:client
      """
    let made = try await ChildProcess.run("sh", ["-ec", "cd \"$0\"\n\(preparations)", directory.path])
    if made.status != 0 { throw ChildProcess.Failure(description: made.errors) }
  }

  deinit {
    child.signal(SIGKILL)
    try? FileManager.default.removeItem(at: directory)
  }

  private static func start(_ arguments: [String]) async throws -> ChildProcess {
    let child = try ChildProcess("redis-server", arguments)
    try await child.wait(for: "server that accepts connections") { $0.output.contains("eady to accept connections") }
    return child
  }

  /// Pauses it, and lets it go on.
  package func pause() { child.signal(SIGSTOP) }
  package func resume() { child.signal(SIGCONT) }

  package func kill() async throws {
    child.signal(SIGKILL)
    try await child.end()
  }

  /// Starts it again where it was, empty.
  package func restart() async throws { child = try await Self.start(arguments) }

  /// What somebody else finds on the server.
  @discardableResult
  package func ask(_ words: [String]) async throws -> String {
    try await ChildProcess.run("redis-cli", ["-s", socket] + words).output.trimmingCharacters(in: .newlines)
  }

  @discardableResult
  package func ask(_ words: String...) async throws -> String { try await ask(words) }

  package func keys(_ pattern: String) async throws -> [String] {
    try await ask("--raw", "KEYS", pattern).split(separator: "\n").map(String.init)
  }

  /// Waits until `condition` holds.
  package func wait(for what: String, until condition: (RedisServer) async throws -> Bool) async throws {
    try await eventually(what) { try await condition(self) }
  }

  /// Waits until so many clients hear of changes.
  package func waitForSubscriptions(_ count: Int) async throws {
    try await wait(for: "\(count) subscriptions") {
      try await $0.ask("PUBSUB", "NUMSUB", "token-broker:changes").hasSuffix("\(count)")
    }
  }
}
