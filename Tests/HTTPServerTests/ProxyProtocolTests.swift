import IO
import Synchronization
import TestSupport
import Testing

@testable import HTTPServer

/// The PROXY protocol on real sockets.
@Suite(.serialized, .timeLimit(.minutes(1))) struct ProxyProtocolTests {
  private static let request = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
  private static let binary: [UInt8] =
    [13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10, 0x21, 0x11, 0, 12] + [
      10, 0, 0, 7, 10, 0, 0, 1, 0, 9, 0, 80,
    ]

  private func local() throws -> [AddressRange] { [try #require(AddressRange("127.0.0.0/8"))] }

  @Test(
    "Where it is required, a request behind the header is answered, in each version, however the bytes are split",
    arguments: [Array("PROXY TCP4 10.0.0.7 10.0.0.1 9 80\r\n".utf8), Array("PROXY UNKNOWN\r\n".utf8), binary])
  func answered(_ header: [UInt8]) async throws {
    try await Serving.run(proxies: local()) { serving in
      let whole = try RawClient(port: serving.port)
      try whole.send(header + Array(Self.request.utf8))
      #expect(try await whole.readResponse().body == "/x ")
      try whole.send(Self.request)
      #expect(try await whole.readResponse().body == "/x ", "one header for the connection")

      let parts = try RawClient(port: serving.port)
      for byte in header { try parts.send([byte]) }
      try parts.send(Self.request)
      #expect(try await parts.readResponse().body == "/x ")
    }
  }

  @Test("By TLS the header is ahead of the handshake, as curl sends it, and HTTP/2 behind it")
  func tls() async throws {
    let made = try await Certificates.usual()
    try await Serving.run(tls: made.context(), proxies: local()) { serving in
      let url = "https://127.0.0.1:\(serving.port)/x"
      for option in ["--http2", "--http1.1"] {
        let answer = try await ChildProcess.run("curl", made.options() + ["--haproxy-protocol", option, url])
        #expect(answer.output == "/x ", "\(answer)")
      }
      let bare = try await ChildProcess.run("curl", made.options() + [url])
      #expect(bare.status != 0)
      let refusals = serving.refusals.withLock { $0.map(\.rejection) }
      #expect(refusals == [.noProxyHeader])
    }
  }

  @Test("Without a header, with a wrong one, or from elsewhere, a connection ends with a 400 that says why")
  func refused() async throws {
    let elsewhere = [try #require(AddressRange("10.0.0.0/8"))]
    for (proxies, sent, reason) in [
      (try local(), Self.request, Rejection.noProxyHeader), (try local(), "PROXY TCP4 a b 1 2\r\n", .noProxyHeader),
      (elsewhere, "PROXY TCP4 10.0.0.7 10.0.0.1 9 80\r\n" + Self.request, .unknownProxy),
    ] {
      try await Serving.run(proxies: proxies) { serving in
        let client = try RawClient(port: serving.port)
        try client.send(sent)
        let answer = try await client.readToEnd()
        #expect(answer.hasPrefix("HTTP/1.1 400 ") && answer.contains(reason.reason.description))
        let refusals = serving.refusals.withLock { $0 }
        #expect(refusals.map(\.rejection) == [reason] && refusals[0].peer.hasPrefix("127.0.0.1:"))
      }
    }
  }

  @Test("What is refused behind the header is told to be from whom the proxy spoke for")
  func peer() async throws {
    try await Serving.run(proxies: local()) { serving in
      let client = try RawClient(port: serving.port)
      try client.send(Self.binary + Array("BROKEN\r\n\r\n".utf8))
      #expect(try await client.readToEnd().hasPrefix("HTTP/1.1 400 "))
      let peers = serving.refusals.withLock { $0.map(\.peer) }
      #expect(peers == ["10.0.0.7:9"])
    }
  }

  @Test("A request comes from whom the proxy speaks for, and from the proxy where it speaks for itself")
  func from() async throws {
    let header = "PROXY TCP6 2001:db8:1:2::7 ::1 9 80\r\n"
    for (header, place) in [
      (Self.binary, "10.0.0.7:9 10.0.0.7"), (Array(header.utf8), "[2001:db8:1:2::7]:9 2001:db8:1:2::/64"),
    ] {
      try await Serving.run(proxies: local()) { serving in
        let client = try RawClient(port: serving.port)
        try client.send(header + Array("GET /from HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
        #expect(try await client.readResponse().body == place)
      }
    }
    try await Serving.run(proxies: local()) { serving in
      let client = try RawClient(port: serving.port)
      try client.send("PROXY UNKNOWN\r\nGET /from HTTP/1.1\r\nHost: a\r\n\r\n")
      let body = try await client.readResponse().body
      #expect(body.hasPrefix("127.0.0.1:") && body.hasSuffix(" 127.0.0.1"))
    }
  }

  @Test("Elsewhere a header is refused by its name, by TLS too")
  func unexpected() async throws {
    let made = try await Certificates.usual()
    for (context, reason) in [
      (nil, Rejection.unexpectedProxyHeader), (try made.context(), .clearText),
    ] {
      try await Serving.run(tls: context) { serving in
        for header in [Array("PROXY TCP4 10.0.0.7 10.0.0.1 9 80\r\n".utf8), Self.binary] {
          let client = try RawClient(port: serving.port)
          try client.send(header + Array(Self.request.utf8))
          let answer = try await client.readToEnd()
          #expect(answer.hasPrefix("HTTP/1.1 400 ") && answer.contains("PROXY protocol"), "\(answer)")
        }
        let refusals = serving.refusals.withLock { $0.map(\.rejection) }
        #expect(refusals == [reason, reason])
      }
    }
  }

  @Test("Who sends half a header, and no more, is let go when the time for a request's header is over")
  func slow() async throws {
    var limits = Limits()
    limits.headTimeout = .milliseconds(300)
    try await Serving.run(limits, proxies: local()) { serving in
      let client = try RawClient(port: serving.port)
      try client.send("PROXY TCP4 ")
      #expect(try await client.readToEnd() == "")
    }
  }
}
