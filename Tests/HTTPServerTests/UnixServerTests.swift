import Dispatch
import Glibc
import TestSupport
import Testing

@testable import HTTPServer
@testable import IO

/// The whole server over Unix sockets, and over listeners that were handed over.
@Suite(.timeLimit(.minutes(1))) struct UnixServerTests {
  /// Says which loop it is on, or for `/peer` who asks. `/held` holds its loop up until the test signals.
  private final class Witness: RequestHandler {
    let index: Int
    let holds: Holds

    init(_ index: Int, _ holds: Holds) {
      self.index = index
      self.holds = holds
    }

    func handle(_ request: Request, _ response: ResponseWriter) {
      var body = "\(index)"
      switch request.text(at: request.path) {
      case "/held": holds.wait(index)
      case "/large": body = String(repeating: "a", count: 4_000_000)
      case "/peer": body = request.peer.map { "\($0.user) \($0.groups)" } ?? "unknown"
      default: break
      }
      response.send(Response(200, body: Array(body.utf8)))
    }
  }

  /// The loops that are held up.
  private final class Holds: Sendable {
    private let stream: AsyncStream<Int>
    private let continuation: AsyncStream<Int>.Continuation
    private let end = DispatchSemaphore(value: 0)

    init() { (stream, continuation) = AsyncStream.makeStream() }

    func wait(_ index: Int) {
      continuation.yield(index)
      _ = end.wait(timeout: .now() + 30)
    }

    func next() async -> Int {
      for await index in stream { return index }
      preconditionFailure("the stream never ends")
    }

    func release() { end.signal() }
  }

  private let address: SocketAddress
  private let path: String
  private let holds = Holds()

  init() throws {
    path = "/tmp/http-server-tests-\(getpid())-\(UInt32.random(in: 0...UInt32.max)).sock"
    address = try SocketAddress(parsing: "unix:\(path)")
  }

  /// Runs a server around `body`, then drains it and waits for its end. It is stopped if `body` throws.
  private func withServer(
    _ binding: Server.Binding, _ limits: Limits = Limits(), loops: Int = 2, _ body: (Server) async throws -> Void
  ) async throws {
    let server = try Server(label: "test", [binding], loops: loops, limits: limits)
    async let running: Void = server.run { [holds] index, _ in Witness(index, holds) }
    do {
      try await body(server)
    } catch {
      server.stop()
      throw error
    }
    server.drain(timeout: .seconds(10))
    try await running
  }

  private var binding: Server.Binding { Server.Binding(address) }

  private var fileExists: Bool { get throws { try SystemCall.status(of: path) != nil } }

  /// The body of the one answer to a request for `target`.
  private func ask(_ target: String) async throws -> String {
    let client = try UnixClient(address)
    try client.send("GET \(target) HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    let answer = try await client.readToEnd()
    #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
    return answer.split(separator: "\r\n\r\n").last.map(String.init) ?? ""
  }

  @Test("Loops share the socket: one that is busy leaves connections to the others")
  func loops() async throws {
    try await withServer(binding, loops: 3) { server in
      #expect(server.addresses[0].description == "unix:\(path)")
      async let first = ask("/held")
      let one = await holds.next()
      async let second = ask("/held")
      let other = await holds.next()
      #expect(one != other)
      let last = String(3 - one - other)
      for _ in 0..<20 { #expect(try await ask("/") == last) }
      for _ in 0..<2 { holds.release() }
      let answers = try await [first, second]
      #expect(Set(answers) == [String(one), String(other)])
    }
  }

  @Test("Of many connections at once each is answered")
  func many() async throws {
    try await withServer(binding, loops: 3) { _ in
      try await withThrowingTaskGroup(of: String.self) { group in
        for _ in 0..<200 { group.addTask { try await ask("/") } }
        for try await body in group { #expect(["0", "1", "2"].contains(body)) }
      }
    }
  }

  @Test("The handler is told the ids of a Unix socket's client, and nothing of a TCP client")
  func peer() async throws {
    try await withServer(binding) { _ in
      let peer = try await ask("/peer")
      #expect(peer.hasPrefix("\(geteuid()) [\(getegid())"))
    }
    try await withServer(Server.Binding(SocketAddress(parsing: "127.0.0.1:0"))) { server in
      let client = try RawClient(port: server.addresses[0].port)
      try client.send("GET /peer HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(try await client.readResponse().body == "unknown")
    }
  }

  /// More groups than are asked for at first.
  @Test("Supplementary groups are told too, however many", .enabled(if: geteuid() == 0, "only root can choose groups"))
  func groups() async throws {
    let groups = Array(2001...2100)
    try await withServer(binding) { _ in
      let (status, output, errors) = try await ChildProcess.run(
        "setpriv",
        [
          "--regid", "2050", "--groups", groups.map(String.init).joined(separator: ","),
          "curl", "--silent", "--show-error", "--unix-socket", path, "http://a/peer",
        ])
      #expect(status == 0, "\(errors)")
      #expect(output == "0 \([2050] + groups.filter { $0 != 2050 })")
    }
  }

  @Test("The file is gone once the server has drained, and nobody who was connected is left without an answer")
  func drain() async throws {
    try await withServer(binding, loops: 1) { server in
      async let held = ask("/held")
      _ = await holds.next()
      server.drain(timeout: .seconds(30))
      // Waits in the listener's queue, and the only loop, once it goes on, hears of the drain first.
      let client = try UnixClient(address)
      try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      holds.release()
      #expect(try await client.readToEnd().hasPrefix("HTTP/1.1 200 OK\r\n"))
      #expect(try await held == "0")
    }
    #expect(try !fileExists)
  }

  @Test("Nobody new can connect as soon as one loop has drained, though others are still busy")
  func drainOfOneLoop() async throws {
    try await withServer(binding, loops: 2) { server in
      async let held = ask("/held")
      _ = await holds.next()
      let idle = try UnixClient(address)
      try idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(await idle.isAnswered())
      server.drain(timeout: .seconds(30))
      #expect(try await idle.readToEnd().hasPrefix("HTTP/1.1 200 OK\r\n"))
      #expect(try !fileExists)
      holds.release()
      _ = try await held
    }
  }

  @Test("The file is gone when the server is stopped, and when it never runs")
  func stop() async throws {
    do {
      let server = try Server(label: "test", [binding], loops: 2)
      #expect(try fileExists)
      server.stop()
      try await server.run { [holds] index, _ in Witness(index, holds) }
      #expect(try !fileExists)
    }
    do {
      let another = try Listener(SocketAddress(parsing: "127.0.0.1:0"))
      #expect(throws: Server.BindError.self) {
        try Server(label: "test", [binding, Server.Binding(another.address)], loops: 2)
      }
    }
    #expect(try !fileExists)
  }

  @Test("A path that another server has taken over stays its own when the first one drains")
  func takenOver() async throws {
    let first = try Server(label: "first", [binding], loops: 2)
    let running = Task { [holds] in try await first.run { index, _ in Witness(index, holds) } }
    try SystemCall.unlink(path)
    try await withServer(binding) { _ in
      first.drain(timeout: .seconds(10))
      try await running.value
      #expect(try await ask("/peer") != "unknown")
    }
  }

  @Test("An address in use is an error that names it")
  func inUse() throws {
    let listener = try Listener(address)
    let error = #expect(throws: Server.BindError.self) { try Server(label: "test", [binding], loops: 1) }
    #expect(error.map { "\($0)" } == "cannot listen on unix:\(path): bind: Address already in use")
    withExtendedLifetime(listener) {}
  }

  @Test("The limits hold for a Unix socket's clients: slow headers, answers never read, idleness, too many connections")
  func limits() async throws {
    var limits = Limits()
    limits.headTimeout = .milliseconds(200)
    limits.writeTimeout = .milliseconds(200)
    limits.idleTimeout = .milliseconds(200)
    try await withServer(binding, limits) { _ in
      let slow = try UnixClient(address)
      try slow.send("GET / HTTP/1.1\r\nHos")
      #expect(try await slow.readToEnd().hasPrefix("HTTP/1.1 408 "))
      let deaf = try UnixClient(address)
      try deaf.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(await deaf.isHungUp())
      let idle = try UnixClient(address)
      try idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(try await idle.readToEnd().hasPrefix("HTTP/1.1 200 "))
    }
    limits = Limits()
    limits.connections = 1
    limits.reserve = 0
    try await withServer(binding, limits) { _ in
      async let held = ask("/held")
      _ = await holds.next()
      let refused = try UnixClient(address)
      #expect(try await refused.readToEnd().hasPrefix("HTTP/1.1 503 "))
      holds.release()
      _ = try await held
    }
  }

  @Test("A client that leaves before its answer, or in the middle of a request, harms nobody")
  func leaving() async throws {
    try await withServer(binding, loops: 1) { _ in
      for text in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /large HTTP/1.1\r\nHost: a\r\n\r\n"] {
        try UnixClient(address).send(text)
        #expect(try await ask("/") == "0")
      }
    }
  }

  @Test("A listener handed over is served by all loops, and its file stays")
  func inherited() async throws {
    let supervisors = try Listener(address)
    try await withServer(handedOver(supervisors), loops: 2) { server in
      async let held = ask("/held")
      let one = await holds.next()
      #expect(try await ask("/") == String(1 - one))
      #expect(try await ask("/peer") != "unknown")
      holds.release()
      _ = try await held
    }
    #expect(try fileExists)
  }

  @Test("Those who connect to a listener handed over when the server drains wait for the next process")
  func inheritedDrain() async throws {
    let supervisors = try Listener(address)
    var late: UnixClient?
    try await withServer(handedOver(supervisors), loops: 1) { server in
      async let held = ask("/held")
      _ = await holds.next()
      server.drain(timeout: .seconds(30))
      late = try UnixClient(address)
      holds.release()
      _ = try await held
    }
    let connection = try supervisors.accept()
    let waits = connection != nil
    #expect(waits)
    withExtendedLifetime(late) {}
  }

  private func handedOver(_ listener: Listener) throws -> Server.Binding {
    try Server.Binding(inherited: Listener(inherited: fcntl(listener.number, F_DUPFD, 3)))
  }
}
