import Basics
import DevTenant
import Foundation
import HTTPClient
import IO
import Testing
import TestSupport

/// Against real peers on loopback ports, most of them bad ones.
@Suite(.timeLimit(.minutes(1))) struct HTTPClientTests {
  private let client: HTTPClient

  init() throws {
    ThisProcess.ignoreFailingWrites()
    client = try HTTPClient()
  }

  private func get(_ url: String, timeout: Duration = .seconds(10)) async throws -> HTTPClient.Response {
    try await client.send(HTTPClient.Request(url: url, timeout: timeout))
  }

  private func post(_ url: String, _ body: String) async throws -> HTTPClient.Response {
    try await client.send(HTTPClient.Request(url: url, body: Secret(body.utf8), timeout: .seconds(10)))
  }

  @Test("A request is what was asked for, and nothing is added that could say more or bring back something else")
  func request() async throws {
    try await withPeer { connection in
      while connection.request() != nil { connection.answer("200 OK", "Set-Cookie: a=b\r\n") }
    } _: { peer in
      for _ in 0..<2 {
        let request = HTTPClient.Request(
          url: peer.url + "/path?q=1", headers: [("Accept", "application/json")], body: Secret("a=b&c=d".utf8),
          timeout: .seconds(10))
        #expect(try await client.send(request).status == 200)
      }
      _ = try await get(peer.url)
      let head = """
        Host: 127.0.0.1:\(peer.port)\r
        User-Agent: token-broker\r
        Accept: application/json\r
        """
      let posted = "POST /path?q=1 HTTP/1.1\r\n\(head)\nContent-Length: 7\r\n"
      for text in peer.requests.prefix(2) {
        #expect(text.hasPrefix(posted) && text.hasSuffix("\r\n\r\na=b&c=d"), "\(text)")
        for name in ["cookie", "accept-encoding", "expect", "authorization", "upgrade"] {
          #expect(!text.lowercased().contains("\n\(name):"), "\(name)")
        }
      }
      #expect(peer.requests.last?.hasPrefix("GET / HTTP/1.1\r\n") == true)
      #expect(peer.connections == 1, "the connection is kept")
    }
  }

  @Test("A large body is sent without asking leave first")
  func largeBody() async throws {
    try await withPeer { connection in
      if connection.request() != nil { connection.answer("200 OK") }
    } _: { peer in
      let response = try await post(peer.url, String(repeating: "a", count: 1_100_000))
      #expect(response.status == 200)
      #expect(peer.requests.first?.prefix(1000).contains("Expect:") == false)
    }
  }

  @Test("An answer is the final one, its fields found by name in any case, with its body and its times")
  func answer() async throws {
    try await withPeer { connection in
      guard connection.request() != nil else { return }
      connection.send("HTTP/1.1 103 Early Hints\r\nX-One: early\r\n\r\n")
      connection.answer("418 I'm a teapot", "x-ONE: \t 1 \t\r\nX-One: 2\r\nX-Empty:\r\nX-Colon: a:b\r\n", body: "{é}")
    } _: { peer in
      let before = Instant.now
      let response = try await get(peer.url)
      #expect(response.status == 418)
      #expect(response.field("x-one") == "1")
      #expect(response.field("x-empty")?.isEmpty == true)
      #expect(response.field("x-colon") == "a:b")
      #expect(response.field("x-none") == nil)
      #expect(String(decoding: response.body, as: UTF8.self) == "{é}")
      #expect(before <= response.requestedAt && response.requestedAt <= response.receivedAt)
      #expect(response.receivedAt <= .now)
    }
  }

  @Test("A redirect is an answer, and not followed", arguments: ["301 Moved", "302 Found", "307 Temporary Redirect"])
  func redirect(_ status: String) async throws {
    try await withPeer { connection in
      while connection.request() != nil { connection.answer(status, "Location: /elsewhere\r\n") }
    } _: { peer in
      let response = try await post(peer.url, "secret")
      #expect(response.status == Int(status.prefix(3)))
      #expect(peer.requests.count == 1)
    }
  }

  // MARK: No answer

  @Test(
    "Each way of giving no answer has its kind",
    arguments: [
      ("", .exchange), ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", .exchange), ("nonsense\r\n\r\n", .exchange),
      ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", .exchange),
      ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nab", .exchange),
    ] as [(String, HTTPClient.Failure.Kind)])
  func brokenAnswer(_ text: String, _ kind: HTTPClient.Failure.Kind) async throws {
    try await withPeer { connection in
      if connection.request() != nil { connection.send(text) }
    } _: { peer in
      let failure = await #expect(throws: HTTPClient.Failure.self) { try await get(peer.url) }
      #expect(failure?.kind == kind)
      #expect(failure?.message.isEmpty == false)
      #expect(peer.requests.count == 1, "a first request on a connection is not repeated")
    }
  }

  @Test("A reset in the middle of an answer is a failed exchange")
  func reset() async throws {
    try await withPeer { connection in
      guard connection.request() != nil else { return }
      connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
      connection.reset()
    } _: { peer in
      let failure = await #expect(throws: HTTPClient.Failure.self) { try await get(peer.url) }
      #expect(failure?.kind == .exchange)
    }
  }

  @Test("A peer that says nothing, or stops in the middle, is given up on at the timeout", arguments: [false, true])
  func timeout(_ begins: Bool) async throws {
    try await withPeer { connection in
      guard connection.request() != nil else { return }
      if begins { connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\na") }
      connection.waitForEnd()
    } _: { peer in
      let start = Instant.now
      let failure = await #expect(throws: HTTPClient.Failure.self) {
        try await get(peer.url, timeout: .milliseconds(100))
      }
      #expect(failure?.kind == .timeout)
      #expect(start.duration(to: .now) >= .milliseconds(100))
      #expect(start.duration(to: .now) < .seconds(9))
    }
  }

  @Test(
    "A refused connection, a name that cannot be, and a scheme that is not HTTP are told apart",
    arguments: [
      ("http://127.0.0.1:PORT/", .connect), ("http://name.invalid/", .connect), ("file:///etc/hostname", .exchange),
      ("ftp://127.0.0.1:PORT/", .exchange), ("", .exchange),
    ] as [(String, HTTPClient.Failure.Kind)])
  func unreachable(_ url: String, _ kind: HTTPClient.Failure.Kind) async throws {
    let port = try closedPort()
    let failure = await #expect(throws: HTTPClient.Failure.self) {
      try await get(url.replacingOccurrences(of: "PORT", with: "\(port)"))
    }
    #expect(failure?.kind == kind, "\(failure?.message ?? "")")
  }

  private func closedPort() throws -> UInt16 {
    let peer = try RawPeer { _ in }
    peer.stop()
    return peer.port
  }

  @Test(
    "A body over a mebibyte and a header over 64 KiB are refused, however they come",
    arguments: [
      ("", 1 << 20, 0, true), ("", (1 << 20) + 1, 0, false), ("Transfer-Encoding: chunked\r\n", 2 << 20, 0, false),
      ("", 0, 60 << 10, true), ("", 0, 65 << 10, false),
    ])
  func limits(_ field: String, _ bodyBytes: Int, _ headBytes: Int, _ isAccepted: Bool) async throws {
    try await withPeer { connection in
      guard connection.request() != nil else { return }
      let padding = String(repeating: "X: \(String(repeating: "a", count: 1019))\r\n", count: headBytes / 1024)
      let body = String(repeating: "a", count: bodyBytes)
      if field.isEmpty { return connection.answer("200 OK", padding, body: body) }
      connection.send("HTTP/1.1 200 OK\r\n\(field)\r\n\(String(bodyBytes, radix: 16))\r\n\(body)\r\n0\r\n\r\n")
    } _: { peer in
      do {
        let response = try await get(peer.url)
        #expect(isAccepted && response.body.count == bodyBytes)
      } catch let error as HTTPClient.Failure {
        #expect(!isAccepted && error.kind == .tooLarge, "\(error)")
      }
    }
  }

  // MARK: Connections

  /// Answers the first request on each connection, and reads the second without a word: a server whose idle time ends
  /// just as the next request is on its way.
  @Sendable private static func endOnSecond(_ connection: RawPeer.Connection) {
    guard connection.request() != nil else { return }
    connection.answer("200 OK", body: "\(connection.number)")
    _ = connection.request()
  }

  @Test("A GET whose kept connection ends under it is sent again on a new one")
  func staleConnection() async throws {
    try await withPeer(Self.endOnSecond) { peer in
      let bodies = [try await get(peer.url).body, try await get(peer.url).body]
      #expect(bodies == [Array("1".utf8), Array("2".utf8)])
      #expect(peer.connections == 2 && peer.requests.count == 3)
    }
  }

  @Test("A POST that was read on a connection that was kept is lost, and goes out again only when it is sent again")
  func lost() async throws {
    try await withPeer(Self.endOnSecond) { peer in
      _ = try await post(peer.url, "secret=1")
      let failure = await #expect(throws: HTTPClient.Failure.self) { try await post(peer.url, "secret=2") }
      #expect(failure?.kind == .lost && peer.requests.count == 2, "\(failure?.message ?? "")")
      var again = HTTPClient.Request(url: peer.url, body: Secret("secret=3".utf8), timeout: .seconds(10))
      again.attempt = 1
      #expect(try await client.send(again).status == 200)
      #expect(peer.requests.count == 3 && peer.requests.last?.hasSuffix("secret=3") == true)
    }
  }

  @Test("A POST that is sent again takes no connection that was kept, and is not lost another time")
  func lostAgain() async throws {
    try await withPeer { connection in
      while connection.request() != nil, connection.number == 1 { connection.answer("200 OK") }
    } _: { peer in
      _ = try await post(peer.url, "secret=1")
      var again = HTTPClient.Request(url: peer.url, body: Secret("secret=2".utf8), timeout: .seconds(10))
      again.attempt = 1
      let failure = await #expect(throws: HTTPClient.Failure.self) { try await client.send(again) }
      #expect(failure?.kind == .exchange && peer.connections == 2)
    }
  }

  @Test("Two hundred requests at once are all answered, over a bounded number of connections")
  func burst() async throws {
    try await withPeer { connection in
      while let request = connection.request() {
        connection.answer("200 OK", body: String(request.split(separator: " ")[1]))
      }
    } _: { peer in
      for _ in 0..<3 {
        let answers = try await withThrowingTaskGroup(of: Bool.self) { group in
          for number in 0..<200 {
            group.addTask {
              try await get("\(peer.url)/\(number)").body == Array("/\(number)".utf8)
            }
          }
          return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(answers == 200)
      }
      #expect(peer.requests.count == 600)
      // 64 at once; some are replaced on the way. Without the bound the first round would open 200.
      #expect((1...150).contains(peer.connections), "\(peer.connections)")
    }
  }

  @Test("Requests that come and go one by one start the client again each time, and none is lost")
  func restarts() async throws {
    try await withPeer { connection in
      while connection.request() != nil { connection.answer("200 OK") }
    } _: { peer in
      for _ in 0..<300 {
        let response = try await get(peer.url)
        #expect(response.status == 200)
      }
      #expect(peer.connections == 1)
    }
  }

  @Test("A client let go of while a request is on its way still answers it, and lets go of the secret")
  func lifetime() async throws {
    weak var released: Secret?
    try await withPeer { connection in
      if connection.request() != nil { connection.answer("200 OK") }
    } _: { peer in
      func send() async throws -> Int {
        let secret = Secret("secret=1".utf8)
        released = secret
        let request = HTTPClient.Request(url: peer.url, body: secret, timeout: .seconds(10))
        return try await HTTPClient().send(request).status
      }
      let status = try await send()
      #expect(status == 200)
    }
    #expect(released == nil)
  }

  @Test("A header's secret is let go of with its request")
  func released() async throws {
    weak var released: Secret?
    try await withPeer { connection in
      if connection.request() != nil { connection.answer("200 OK") }
    } _: { peer in
      func send() async throws -> Int {
        var request = HTTPClient.Request(url: peer.url, headers: [("A", "1"), ("B", "2")], timeout: .seconds(10))
        let secret = Secret("Basic x".utf8)
        released = secret
        request.authorization = secret
        return try await HTTPClient().send(request).status
      }
      let status = try await send()
      #expect(status == 200)
      #expect(peer.requests.first?.contains("Authorization: Basic x\r\nA: 1\r\nB: 2\r\n") == true)
    }
    #expect(released == nil)
  }

  @Test("A connection whose peer acknowledges nothing is given up in half of a request's time, and at rest in a minute")
  func silence() async throws {
    try await withPeer { connection in
      while connection.request() != nil { connection.answer("200 OK") }
    } _: { peer in
      _ = try await get(peer.url, timeout: .milliseconds(12_345))
      // The client's end of it is a descriptor of this process.
      let limits = (3..<1024).compactMap { descriptor -> [Int32]? in
        var (address, length) = (sockaddr_in(), socklen_t(MemoryLayout<sockaddr_in>.size))
        let found = unsafe withUnsafeMutablePointer(to: &address) { pointer in
          unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            unsafe getpeername(Int32(descriptor), $0, &length)
          }
        }
        guard found == 0, address.sin_family == AF_INET, address.sin_port.bigEndian == peer.port else { return nil }
        let names = [TCP_USER_TIMEOUT, TCP_KEEPIDLE, TCP_KEEPINTVL]
        return ([(SOL_SOCKET, SO_KEEPALIVE)] + names.map { (Int32(IPPROTO_TCP), $0) }).map { level, name in
          var (limit, size) = (Int32(0), socklen_t(4))
          unsafe getsockopt(Int32(descriptor), level, name, &limit, &size)
          return limit
        }
      }
      #expect(limits == [[1, 6173, 30, 10]])
    }
  }

  // MARK: Trust

  @Test(
    "A certificate that cannot be verified ends it before anything is said",
    arguments: [
      (DevTenant.CertificateKind.valid, true, true), (.valid, false, false), (.wrongHost, true, false),
      (.expired, true, false),
    ])
  func certificates(_ kind: DevTenant.CertificateKind, _ isTrusted: Bool, _ isAccepted: Bool) async throws {
    var options = DevTenant.Options(address: try SocketAddress(parsing: "127.0.0.1:0"))
    options.certificate = kind
    let tenant = try DevTenant(options)
    async let _ = tenant.run()
    defer { tenant.stop() }
    let pem = try #require(tenant.certificatePEM)
    let client = try HTTPClient(trust: isTrusted ? .pem(pem) : .system, connectTimeout: .seconds(30))
    let request = HTTPClient.Request(
      url: tenant.baseURL + "/oauth/token", body: Secret("client_secret=x".utf8), timeout: .seconds(30))
    do throws(HTTPClient.Failure) {
      #expect(try await client.send(request).status == 401)
      #expect(isAccepted)
    } catch {
      #expect(!isAccepted && error.kind == .tls && error.message.contains("certificate"), "\(error)")
    }
    #expect(tenant.statistics.tokenRequests == (isAccepted ? 1 : 0))
  }
}
