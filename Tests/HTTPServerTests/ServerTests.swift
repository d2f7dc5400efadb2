import IO
import TestSupport
import Testing

@testable import HTTPServer

/// The whole server over real sockets.
@Suite(.timeLimit(.minutes(1))) struct ServerTests {
  /// `/probe` is answered beyond the limits. Answers with what was asked; `/later` from another thread, `/never` not at
  /// all, `/large` with 4 MB.
  private final class Echo: RequestHandler {
    func handle(_ request: Request, _ response: ResponseWriter) {
      let path = request.text(at: request.path)
      let answer = Response(200, body: Array("\(path) \(request.text(at: request.body))".utf8))
      switch path {
      case "/later":
        let exchange = response.deferred()
        Task { exchange.send(answer) }
      case "/never":
        _ = response.deferred()
      case "/large":
        response.send(Response(200, body: [UInt8](repeating: 0x61, count: 4_000_000)))
      default:
        response.send(answer)
      }
    }

    func response(to rejection: Rejection, requestID: String) -> Response { problem(rejection) }

    func isProbe(_ request: Request) -> Bool { request.equals("/probe", at: request.path) }
  }

  /// Runs a server around `body`, then drains it and waits for its end. It is stopped if `body` throws.
  private func withServer(
    _ limits: Limits = Limits(), loops: Int = 2, handler: @escaping @Sendable () -> any RequestHandler = { Echo() },
    _ body: (Server, UInt16) async throws -> Void
  ) async throws {
    let server = try Server(
      label: "test", [Server.Binding(SocketAddress(parsing: "127.0.0.1:0"))], loops: loops, limits: limits)
    async let running: Void = server.run { _, _ in handler() }
    do {
      try await body(server, server.addresses[0].port)
    } catch {
      server.stop()
      throw error
    }
    server.drain(timeout: .seconds(5))
    try await running
  }

  private func get(_ path: String, _ more: String = "") -> String { "GET \(path) HTTP/1.1\r\nHost: a\r\n\(more)\r\n" }

  @Test("Pipelined requests are answered in order, whether at once or later")
  func pipelining() async throws {
    try await withServer { _, port in
      let client = try RawClient(port: port)
      let paths = (0..<50).map { $0 % 7 == 3 ? "/later" : "/\($0)" }
      try client.send(paths.map { get($0) }.joined())
      for path in paths { #expect(try await client.readResponse().body == "\(path) ") }
    }
  }

  @Test("Persistence: HTTP/1.1 stays open, close and HTTP/1.0 end it, keep-alive keeps 1.0 open")
  func persistence() async throws {
    try await withServer { _, port in
      let kept = try RawClient(port: port)
      try kept.send(get("/1"))
      #expect(try await kept.readResponse().head.contains("Connection") == false)
      try kept.send("GET /2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
      #expect(try await kept.readResponse().head.contains("\r\nConnection: keep-alive"))
      try kept.send(get("/3", "Connection: close\r\n"))
      #expect(try await kept.readToEnd().contains("\r\nConnection: close"))

      let old = try RawClient(port: port)
      try old.send("GET /4 HTTP/1.0\r\n\r\n")
      #expect(try await old.readToEnd().contains("\r\nConnection: close"))
    }
  }

  @Test("A connection is closed behind its last request")
  func requestsPerConnection() async throws {
    var limits = Limits()
    limits.requestsPerConnection = 2
    try await withServer(limits) { _, port in
      let client = try RawClient(port: port)
      try client.send(get("/1") + get("/2") + get("/3"))
      #expect(try await client.readResponse().head.contains("Connection: close") == false)
      let rest = try await client.readToEnd()
      #expect(rest.contains("\r\nConnection: close") && rest.hasSuffix("/2 "))
    }
  }

  @Test("HEAD gets the header of GET, length and all, and no body")
  func head() async throws {
    try await withServer { _, port in
      let client = try RawClient(port: port)
      for path in ["/x", "/later"] {
        try client.send("HEAD \(path) HTTP/1.1\r\nHost: a\r\n\r\n" + get("/after"))
        #expect(try await client.readResponse(bodyless: true).head.contains("Content-Length: \(path.utf8.count + 1)"))
        #expect(try await client.readResponse().body == "/after ")
      }
    }
  }

  @Test("Bodies arrive decoded, and 100 Continue is sent when it is waited for")
  func bodies() async throws {
    try await withServer { _, port in
      let client = try RawClient(port: port)
      try client.send("POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
      #expect(try await client.readResponse().body == "/p abc")
      try client.send("POST /p HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
      #expect(try await client.readResponse().head == "HTTP/1.1 100 Continue")
      try client.send("xyz")
      #expect(try await client.readResponse().body == "/p xyz")
    }
  }

  @Test(
    "The handler is given the body whatever the method, and methods it need not know as such",
    arguments: [
      ("GET", "get"), ("POST", "post"), ("PUT", "put"), ("DELETE", "delete"), ("OPTIONS", "options"),
      ("PATCH", "other"), ("PURGE", "other"), ("TRACE", "other"),
    ])
  func methods(_ method: String, _ name: String) async throws {
    try await withServer(handler: { Methods() }) { _, port in
      let client = try RawClient(port: port)
      let line = "\(method) / HTTP/1.1\r\nHost: a\r\n"
      try client.send("\(line)Content-Length: 3\r\n\r\nabc")
      try client.send("\(line)Transfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n")
      try client.send("\(line)\r\n")
      for body in ["abc", "def", ""] { #expect(try await client.readResponse().body == "\(name) \(body)") }
    }
  }

  private final class Methods: RequestHandler {
    func handle(_ request: Request, _ response: ResponseWriter) {
      response.send(Response(200, body: Array("\(request.method) \(request.text(at: request.body))".utf8)))
    }
  }

  @Test("A malformed request gets one 400 problem, and what follows it is never read as a request")
  func rejection() async throws {
    try await withServer { _, port in
      let client = try RawClient(port: port)
      try client.send(get("/ok") + "GET / HTTP/1.1\r\nHost : a\r\n\r\n" + get("/smuggled"))
      let all = try await client.readToEnd()
      #expect(all.contains("/ok "))
      #expect(all.contains("HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json"))
      #expect(all.contains("\"error\":\"invalid_request\""))
      #expect(!all.contains("smuggled"))
    }
  }

  @Test("A caller that ends its sending half still gets its answer")
  func halfClose() async throws {
    try await withServer { _, port in
      let client = try RawClient(port: port)
      try client.send(get("/later"))
      client.endOutput()
      #expect(try await client.readToEnd().hasSuffix("/later "))
    }
  }

  @Test("A caller that ends its sending half while its last response is stuck still gets all of it")
  func halfCloseWhileBlocked() async throws {
    try await withServer { _, port in
      let client = try RawClient(port: port)
      try client.send(get("/large", "Connection: close\r\n"))
      client.endOutput()
      #expect(try await client.readResponse().body.utf8.count == 4_000_000)
      #expect(try await client.readToEnd() == "")
    }
  }

  @Test("A response larger than the socket's buffer arrives whole, with the next one behind it")
  func largeResponse() async throws {
    try await withServer { _, port in
      let client = try RawClient(port: port)
      try client.send(get("/large") + get("/next"))
      #expect(try await client.readResponse().body.utf8.count == 4_000_000)
      #expect(try await client.readResponse().body == "/next ")
    }
  }

  @Test("Deadlines: a slow header gets 408, a request without an answer 504, an idle connection is closed")
  func deadlines() async throws {
    var limits = Limits()
    limits.headTimeout = .milliseconds(200)
    limits.requestTimeout = .milliseconds(200)
    limits.idleTimeout = .milliseconds(200)
    try await withServer(limits) { _, port in
      let slow = try RawClient(port: port)
      try slow.send("GET / HTTP/1.1\r\nHos")
      #expect(try await slow.readToEnd().hasPrefix("HTTP/1.1 408 "))
      let unanswered = try RawClient(port: port)
      try unanswered.send(get("/never"))
      #expect(try await unanswered.readToEnd().hasPrefix("HTTP/1.1 504 "))
      let idle = try RawClient(port: port)
      try idle.send(get("/x"))
      _ = try await idle.readResponse()
      #expect(try await idle.readToEnd() == "")
    }
  }

  @Test("Beyond the limit connections are told 503, probes are answered, and room that is freed is used")
  func connectionLimit() async throws {
    var limits = Limits()
    limits.connections = 2
    limits.reserve = 4
    try await withServer(limits, loops: 1) { _, port in
      var regular = try (0..<2).map { _ in try RawClient(port: port) }
      for client in regular {
        try client.send(get("/x"))
        _ = try await client.readResponse()
      }
      let refused = try RawClient(port: port)
      try refused.send(get("/x"))
      let answer = try await refused.readToEnd()
      #expect(answer.hasPrefix("HTTP/1.1 503 ") && answer.contains("\"error\":\"overloaded\""))
      #expect(answer.contains("\r\nRetry-After: 1") && answer.contains("\r\nConnection: close"))
      let probe = try RawClient(port: port)
      try probe.send(get("/probe"))
      #expect(try await probe.readToEnd().hasPrefix("HTTP/1.1 200 "))
      regular.removeLast()
      var isServed = false
      for _ in 0..<1000 where !isServed {
        let next = try RawClient(port: port)
        try next.send(get("/x", "Connection: close\r\n"))
        // Where even the reserve is taken for a moment, the connection is reset.
        isServed = (try? await next.readToEnd().hasPrefix("HTTP/1.1 200 ")) ?? false
      }
      #expect(isServed)
    }
  }

  @Test("Every response carries an X-Request-Id: the caller's own, or a new one")
  func requestIDs() async throws {
    try await withServer { _, port in
      let client = try RawClient(port: port)
      for path in ["/x", "/later"] {
        try client.send(get(path, "X-Request-Id: mine-1\r\n"))
        #expect(try await client.readResponse().head.contains("\r\nX-Request-Id: mine-1"))
        try client.send(get(path, "X-Request-Id: not sane\r\n"))
        let head = try await client.readResponse().head
        #expect(head.contains(/\r\nX-Request-Id: [0-9a-f]{16}-[0-9a-f]{8}/))
      }
    }
  }

  @Test("Draining closes idle connections, finishes requests in flight, and refuses new connections")
  func drain() async throws {
    let gate = Gate()
    try await withServer(loops: 1, handler: { gate.handler() }) { server, port in
      let idle = try RawClient(port: port)
      try idle.send(get("/quick"))
      _ = try await idle.readResponse()
      let busy = try RawClient(port: port)
      try busy.send(get("/held"))
      let exchange = await gate.held()
      let silent = try RawClient(port: port)
      server.drain(timeout: .seconds(30))
      #expect(try await idle.readToEnd() == "")
      #expect(try await silent.readToEnd() == "", "well before the time for a header is over")
      #expect(throws: RawClient.Failure.self) { try RawClient(port: port) }
      exchange.send(Response(200, body: Array("finished".utf8)))
      let answer = try await busy.readToEnd()
      #expect(answer.contains("\r\nConnection: close") && answer.hasSuffix("finished"))
    }
  }

  /// Holds the requests to `/held` until the test answers them.
  private final class Gate: Sendable {
    private let stream: AsyncStream<DeferredResponse>
    private let continuation: AsyncStream<DeferredResponse>.Continuation

    init() { (stream, continuation) = AsyncStream.makeStream() }

    func handler() -> any RequestHandler { Handler(continuation) }

    func held() async -> DeferredResponse {
      for await exchange in stream { return exchange }
      preconditionFailure("the stream never ends")
    }

    private final class Handler: RequestHandler {
      let continuation: AsyncStream<DeferredResponse>.Continuation
      init(_ continuation: AsyncStream<DeferredResponse>.Continuation) { self.continuation = continuation }

      func handle(_ request: Request, _ response: ResponseWriter) {
        if request.text(at: request.path) == "/held" {
          continuation.yield(response.deferred())
        } else {
          response.send(Response(200))
        }
      }
    }
  }
}
