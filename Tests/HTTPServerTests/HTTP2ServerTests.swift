import TestSupport
import Testing

@testable import HTTPServer

/// HTTP/2 over real sockets, on the port that serves HTTP/1.1 too. One test at a time, like the others of HTTP/2 and
/// TLS: each blocks several threads, and Dispatch has 255 of them for the whole test process.
@Suite(.serialized, .timeLimit(.minutes(1))) struct HTTP2ServerTests {
  @Test("The preface makes it HTTP/2, however it is split; what only looks like it at first is HTTP/1.1")
  func preface() async throws {
    try await Serving.run { serving in
      let client = try await FrameClient(port: serving.port, greets: false)
      // With these the header of an HTTP/1 request is whole; once the other has its answer, they have been read.
      try await client.send(Array(HTTP2Frame.greeting.prefix(18)))
      let other = try await FrameClient(port: serving.port)
      try await other.send(.get(1))
      _ = try await other.answer(to: 1)
      try await client.send(HTTP2Frame.greeting.dropFirst(18) + HTTP2Frame.get(1, "/x").bytes)
      #expect(try await client.answer(to: 1) == (200, "/x "))

      let first = try RawClient(port: serving.port)
      for piece in ["P", "OST /y HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"] { try first.send(piece) }
      #expect(try await first.readResponse().body == "/y ab")
      try first.send("GET /z HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(try await first.readResponse().body == "/z ")
      // Not in the middle of a connection.
      try first.send(HTTP2Frame.greeting)
      #expect(try await first.readToEnd().hasPrefix("HTTP/1.1 400 "))
      #expect(serving.server.listenerStates[0].http2 == 2)
    }
  }

  @Test("Streams are answered when their answers are there, in any order, beside others")
  func deferred() async throws {
    try await Serving.run { serving in
      let client = try await FrameClient(port: serving.port)
      var exchanges: [DeferredResponse] = []
      for stream in [1, 3, 5] {
        try await client.send(.get(stream, "/held", ("x-request-id", "id-\(stream)")))
        exchanges.append(await serving.held())
      }
      #expect(exchanges.map(\.requestID) == ["id-1", "id-3", "id-5"])
      try await client.send(.get(7, "/x"), .get(9, "/later"))
      #expect(try await client.answer(to: 7) == (200, "/x "))
      #expect(try await client.answer(to: 9) == (200, "/later "))
      try await client.send(.reset(3))
      for index in [2, 1, 0] { exchanges[index].send(Response(200, body: Array("\(index)".utf8))) }
      // Given again, to a stream that has its answer.
      exchanges[2].send(Response(500))
      #expect(try await client.answer(to: 5) == (200, "2"))
      #expect(try await client.answer(to: 1) == (200, "0"))
      try await client.send(.get(11, "/y"))
      #expect(try await client.answer(to: 11) == (200, "/y "))
    }
  }

  @Test("HEAD has no body, a body is echoed, and a stream in trouble is reset without the others")
  func shapes() async throws {
    try await Serving.run { serving in
      let client = try await FrameClient(port: serving.port)
      try await client.send(.headers(1, HTTP2Frame.request("HEAD", "/x")))
      #expect(try await client.answer(to: 1) == (200, ""))
      try await client.send(.post(3, "/p"), .data(3, Array("ab".utf8)), .data(3, Array("c".utf8), ends: true))
      #expect(try await client.answer(to: 3) == (200, "/p abc"))
      try await client.send(.get(5, "/held"))
      await serving.held().send(verbatim: Array("HTTP/1.1 200 OK\r\n\r\n".utf8), then: .close)
      let failure = await #expect(throws: FrameClient.Failure.self) { try await client.answer(to: 5) }
      #expect(failure?.description == "reset: HTTP_1_1_REQUIRED")
      try await client.send(.get(7, "/x"))
      #expect(try await client.answer(to: 7) == (200, "/x "))
    }
  }

  @Test("A large answer waits for the peer's window, and other streams do not wait for it")
  func flowControl() async throws {
    try await Serving.run { serving in
      let client = try await FrameClient(port: serving.port)
      try await client.send(.window(0, 8_000_000), .get(1, "/large"), .get(3, "/x"))
      #expect(try await client.answer(to: 3) == (200, "/x "))
      try await client.send(.window(1, 4_000_000))
      var count = 65_535
      while let frame = try await client.next() {
        if frame.type == 0 { count += frame.payload.count }
        if frame.ends { break }
      }
      #expect(count >= 4_000_000)
    }
  }

  @Test("While answers are not taken nothing more is read")
  func backPressure() async throws {
    try await Serving.run { serving in
      let client = try await FrameClient(port: serving.port)
      try await client.send(.settings((4, 0x7FFF_FFFF)), .window(0, 0x7FFF_0000))
      for stream in 0..<40 { try await client.send(.get(2 * stream + 1, "/large")) }
      // 160 MB are under way; the socket buffers hold a small part of that, and of this.
      let piece = HTTP2Frame.data(79, [UInt8](repeating: 0, count: 16_000)).bytes
      var sent = 0
      while sent < 2000, try !client.isStuck(piece) { sent += 1 }
      #expect(sent < 2000)
    }
  }

  @Test("Bodies larger than the windows in all, on one connection")
  func windows() async throws {
    try await Serving.run { serving in
      let client = try await FrameClient(port: serving.port)
      try await client.send(.window(0, 1_000_000))
      let body = [UInt8](repeating: 0x62, count: 16_000)
      for index in 0..<20 {
        let stream = 2 * index + 1
        try await client.send(.post(stream, "/p"), .data(stream, body, ends: true))
        #expect(try await client.answer(to: stream).body.utf8.count == 16_003)
      }
    }
  }

  @Test("The last request of a connection is followed by GOAWAY, and those under way are answered")
  func requestsPerConnection() async throws {
    var limits = Limits()
    limits.requestsPerConnection = 2
    try await Serving.run(limits) { serving in
      let client = try await FrameClient(port: serving.port)
      try await client.send(.get(1, "/x"), .get(3, "/later"))
      #expect(try await client.answer(to: 3) == (200, "/later "))
      #expect(try await client.codeAtEnd() == "NO_ERROR")
    }
  }

  @Test("Beyond the limit on connections a request is answered 503, and the connection ends")
  func connectionLimit() async throws {
    var limits = Limits()
    limits.connections = 1
    try await Serving.run(limits) { serving in
      let regular = try await FrameClient(port: serving.port)
      try await regular.send(.get(1))
      #expect(try await regular.answer(to: 1).status == 200)
      let refused = try await FrameClient(port: serving.port)
      try await refused.send(.get(1))
      #expect(try await refused.answer(to: 1).status == 503)
      #expect(try await refused.codeAtEnd() == "NO_ERROR")
    }
  }

  @Test("Draining takes what is under way to its end, and tells the peer to go elsewhere")
  func drain() async throws {
    try await Serving.run { serving in
      let busy = try await FrameClient(port: serving.port)
      try await busy.send(.get(1, "/held"))
      let exchange = await serving.held()
      let idle = try await FrameClient(port: serving.port)
      try await idle.send(.get(1))
      _ = try await idle.answer(to: 1)
      serving.server.drain(timeout: .seconds(30))
      #expect(try await busy.next()?.lastStream == 0x7FFF_FFFF)
      #expect(try await busy.next()?.type == 6)
      try await busy.send(.ping(isAck: true))
      #expect(try await busy.next()?.lastStream == 1)
      exchange.send(Response(200, body: Array("finished".utf8)))
      #expect(try await busy.answer(to: 1) == (200, "finished"))
      #expect(try await busy.next() == nil)
      #expect(try await idle.codeAtEnd() == "NO_ERROR", "though it never answered the PING")
    }
  }

  @Test("A caller that ends its sending half still gets its answer; one that leaves is forgotten")
  func halfClose() async throws {
    try await Serving.run { serving in
      let client = try RawClient(port: serving.port)
      try client.send(HTTP2Frame.greeting + HTTP2Frame.get(1, "/held").bytes)
      let exchange = await serving.held()
      client.endOutput()
      exchange.send(Response(200, body: Array("finished".utf8)))
      #expect(try await client.readToEnd().contains("finished"))

      let gone = try RawClient(port: serving.port)
      try gone.send(HTTP2Frame.greeting + HTTP2Frame.get(1, "/held").bytes)
      let late = await serving.held()
      gone.abandon()
      late.send(Response(200))
    }
  }

  @Test("An attack ends its own connection, and another's requests go on", arguments: HTTP2Attack.all)
  func attack(_ attack: HTTP2Attack) async throws {
    var limits = Limits()
    limits.writeTimeout = .seconds(1)
    try await Serving.run(limits) { serving in
      let good = try await FrameClient(port: serving.port)
      let bad = try await FrameClient(port: serving.port)
      for index in 0..<attack.times {
        let stream = 2 * index + 1
        // Where the server has hung up, sending fails.
        guard (try? await bad.send(attack.frames(stream).flatMap(\.bytes))) != nil else { break }
        try await good.send(.get(stream, "/x"))
        #expect(try await good.answer(to: stream) == (200, "/x "))
      }
      while let frame = try await bad.next() {
        if frame.type == 7 { #expect(["ENHANCE_YOUR_CALM", "PROTOCOL_ERROR"].contains(frame.code)) }
      }
    }
  }
}
