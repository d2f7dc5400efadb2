import Basics
import HTTPClient
import IO
import Testing
import TestSupport

@Suite(.timeLimit(.minutes(1))) struct HTTPClientOptionsTests {
  init() { ThisProcess.ignoreFailingWrites() }

  @Test("A request carries the client's name as its user agent")
  func userAgent() async throws {
    try await withPeer { connection in
      if connection.request() != nil { connection.answer("200 OK") }
    } _: { peer in
      _ = try await HTTPClient(userAgent: "token-broker/1.2.3")
        .send(HTTPClient.Request(url: peer.url, timeout: .seconds(10)))
      #expect(peer.requests.first?.contains("\r\nUser-Agent: token-broker/1.2.3\r\n") == true)
    }
  }

  @Test("A proxy is asked to connect, and told no secret")
  func proxy() async throws {
    try await withPeer { connection in
      if connection.request() != nil { connection.answer("502 Bad Gateway") }
    } _: { peer in
      var request = HTTPClient.Request(
        url: "https://tenant.example/oauth/token", headers: [("X-Other", "1")],
        body: Secret("client_secret=hunter2".utf8),
        timeout: .seconds(10))
      request.authorization = Secret("Basic hunter2".utf8)
      let client = try HTTPClient(proxy: peer.url)
      await #expect(throws: HTTPClient.Failure.self) { try await client.send(request) }
      #expect(peer.requests.count == 1)
      #expect(peer.requests.first?.hasPrefix("CONNECT tenant.example:443 HTTP/1.1\r\n") == true)
      #expect(peer.requests.first?.contains("hunter2") == false)
    }
  }

  @Test("This machine itself is not reached through a proxy")
  func loopback() async throws {
    try await withPeer { connection in
      if connection.request() != nil { connection.answer("200 OK") }
    } _: { peer in
      let client = try HTTPClient(proxy: "http://127.0.0.1:1")
      #expect(try await client.send(HTTPClient.Request(url: peer.url, timeout: .seconds(10))).status == 200)
    }
  }

  @Test("A certificate that cannot be read is the client's own fault, and nothing is sent without it")
  func identity() async throws {
    let client = try HTTPClient(
      identity: HTTPClient.Identity(certificateFile: "/nonexistent", keyFile: "/nonexistent"))
    try await withPeer {
      $0.waitForEnd()
    } _: { peer in
      let error = await #expect(throws: HTTPClient.Failure.self) {
        try await client.send(HTTPClient.Request(url: "https://127.0.0.1:\(peer.port)/", timeout: .seconds(10)))
      }
      #expect(error?.kind == .identity)
      #expect(peer.requests.isEmpty)
    }
  }
}
