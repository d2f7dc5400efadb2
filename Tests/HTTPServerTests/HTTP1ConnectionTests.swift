import Testing

@testable import HTTPServer

@Suite struct HTTP1ConnectionTests {
  struct Case: CustomTestStringConvertible {
    let bytes: String
    var requests: [String] = []
    var rejection: Int?
    var testDescription: String { bytes }

    static func accepted(_ bytes: String, _ requests: String...) -> Case { Case(bytes: bytes, requests: requests) }
    static func refused(_ bytes: String, _ status: Int = 400) -> Case { Case(bytes: bytes, rejection: status) }
  }

  private static let host = "Host: a\r\n"

  static let requestLines: [Case] = [
    .accepted("GET / HTTP/1.1\r\n\(host)\r\n", "get /"),
    .accepted("HEAD /a?b=c?d HTTP/1.1\r\n\(host)\r\n", "head /a?b=c?d"),
    .accepted("GET /token/https://x//./../ HTTP/1.1\r\n\(host)\r\n", "get /token/https://x//./../"),
    .accepted("BREW /pot HTTP/1.1\r\n\(host)\r\n", "other /pot"),
    .accepted("get / HTTP/1.1\r\n\(host)\r\n", "other /"),
    .accepted("GET http://a.example:80/x HTTP/1.1\r\n\(host)\r\n", "get /x"),
    .accepted("GET HTTPS://a/x?y HTTP/1.1\r\n\(host)\r\n", "get /x?y"),
    .accepted("OPTIONS * HTTP/1.1\r\n\(host)\r\n", "options *"),
    .accepted("GET / HTTP/1.0\r\n\r\n", "get / close"),
    .accepted("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "get /"),
    .refused("\r\nGET / HTTP/1.1\r\n\(host)\r\n"),
    .refused(" GET / HTTP/1.1\r\n\(host)\r\n"),
    .refused("GET  / HTTP/1.1\r\n\(host)\r\n"),
    .refused("GET /  HTTP/1.1\r\n\(host)\r\n"),
    .refused("GET / HTTP/1.1 \r\n\(host)\r\n"),
    .refused("GET /\tHTTP/1.1\r\n\(host)\r\n"),
    .refused("GET /a b HTTP/1.1\r\n\(host)\r\n"),
    .refused("GET /#f HTTP/1.1\r\n\(host)\r\n"),
    .refused("GET /ä HTTP/1.1\r\n\(host)\r\n"),
    .refused("GET /\u{7F} HTTP/1.1\r\n\(host)\r\n"),
    .refused("GET a HTTP/1.1\r\n\(host)\r\n"),
    .refused("GET * HTTP/1.1\r\n\(host)\r\n"),
    .refused("GET http:///x HTTP/1.1\r\n\(host)\r\n"),
    .refused("GET ftp://a/x HTTP/1.1\r\n\(host)\r\n"),
    .refused("CONNECT a:443 HTTP/1.1\r\n\(host)\r\n"),
    .refused("GET\r\n\r\n"),
    .refused("GET /\r\n\r\n"),
    .refused("GET / http/1.1\r\n\(host)\r\n"),
    .refused("GET / HTTP/1.10\r\n\(host)\r\n"),
    .refused("GET / HTTP/1\r\n\(host)\r\n"),
    .refused("G\u{0}T / HTTP/1.1\r\n\(host)\r\n"),
    .refused("G(T / HTTP/1.1\r\n\(host)\r\n"),
    .refused("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}"),
    .refused("GET / HTTP/1.2\r\n\(host)\r\n", 505),
    .refused("GET / HTTP/2.0\r\n\(host)\r\n", 505),
    .refused("GET / HTTP/0.9\r\n\(host)\r\n", 505),
  ]

  static let fields: [Case] = [
    .accepted("GET / HTTP/1.1\r\nhOsT:a\r\n\r\n", "get /"),
    .accepted("GET / HTTP/1.1\r\nHost:\t [::1]:80 \t\r\nX:\r\n\r\n", "get /"),
    .accepted("GET / HTTP/1.1\r\n\(host)X: \u{FC} \"q\"\r\n\r\n", "get /"),
    .accepted("GET / HTTP/1.1\r\n\(host)Connection: close\r\n\r\n", "get / close"),
    .accepted("GET / HTTP/1.1\r\n\(host)Connection: x , CLOSE\r\n\r\n", "get / close"),
    .accepted("GET / HTTP/1.1\r\n\(host)Connection: close, keep-alive\r\n\r\n", "get / close"),
    .accepted("GET / HTTP/1.1\r\n\(host)Connection: closer\r\n\r\n", "get /"),
    .refused("GET / HTTP/1.1\r\n\r\n"),
    .refused("GET / HTTP/1.1\r\n\(host)\(host)\r\n"),
    .refused("GET / HTTP/1.0\r\n\(host)\(host)\r\n"),
    .refused("GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    .refused("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    .refused("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    .refused("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
    .refused("GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
    .refused("GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    .refused("GET / HTTP/1.1\r\n\(host)X: a\r\n b\r\n\r\n"),
    .refused("GET / HTTP/1.1\r\n\(host): a\r\n\r\n"),
    .refused("GET / HTTP/1.1\r\n\(host)X\r\n\r\n"),
    .refused("GET / HTTP/1.1\r\n\(host)X(: a\r\n\r\n"),
    .refused("GET / HTTP/1.1\r\n\(host)X: a\u{0}\r\n\r\n"),
    .refused("GET / HTTP/1.1\r\n\(host)X: a\u{B}\r\n\r\n"),
    .refused("GET / HTTP/1.1\n\(host)\r\n"),
    .refused("GET / HTTP/1.1\r\n\(host)X: a\n\r\n"),
    .refused("GET / HTTP/1.1\r\n\(host)X: a\rb\r\n\r\n"),
    .refused("GET / HTTP/1.1\r\n\(host)X: a\r\r\n\r\n"),
    .refused("GET / HTTP/1.1\r\n\(host)Expect: 200-ok\r\n\r\n", 417),
  ]

  static let framing: [Case] = [
    .accepted("POST / HTTP/1.1\r\n\(host)Content-Length: 3\r\n\r\nabc", "post / [abc]"),
    .accepted("POST / HTTP/1.1\r\n\(host)Content-Length: 0\r\n\r\n", "post /"),
    .accepted(
      "GET / HTTP/1.1\r\n\(host)Content-Length: 2\r\n\r\nabGET /b HTTP/1.1\r\n\(host)\r\n", "get / [ab]", "get /b"),
    .accepted("GET /1 HTTP/1.1\r\n\(host)\r\nGET /2 HTTP/1.1\r\n\(host)\r\n", "get /1", "get /2"),
    .accepted("GET /1 HTTP/1.0\r\n\r\nGET /2 HTTP/1.1\r\n\(host)\r\n", "get /1 close"),
    .accepted(
      "POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
      "post / [abc0123456789]"),
    .accepted(
      "POST / HTTP/1.1\r\n\(host)Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\nGET /2 HTTP/1.1\r\n\(host)\r\n", "post /",
      "get /2"),
    .accepted(
      "POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nHost: evil\r\nX: y\r\n\r\n",
      "post / [a]"),
    .accepted("POST / HTTP/1.1\r\n\(host)Expect: 100-continue\r\nContent-Length: 1\r\n\r\na", "post / [a]"),
    .refused("POST / HTTP/1.1\r\n\(host)Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
    .refused("POST / HTTP/1.1\r\n\(host)Content-Length: 3, 3\r\n\r\nabc"),
    .refused("POST / HTTP/1.1\r\n\(host)Content-Length: +3\r\n\r\nabc"),
    .refused("POST / HTTP/1.1\r\n\(host)Content-Length: -3\r\n\r\nabc"),
    .refused("POST / HTTP/1.1\r\n\(host)Content-Length: 0x3\r\n\r\nabc"),
    .refused("POST / HTTP/1.1\r\n\(host)Content-Length: 3 3\r\n\r\nabc"),
    .refused("POST / HTTP/1.1\r\n\(host)Content-Length:\r\n\r\nabc"),
    .refused("POST / HTTP/1.1\r\n\(host)Content-Length: 99999999999999999999\r\n\r\n"),
    .refused("POST / HTTP/1.1\r\n\(host)Content-Length: 999999\r\n\r\n", 413),
    .refused("POST / HTTP/1.1\r\n\(host)Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    .refused("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"),
    .refused("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    .refused("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    .refused("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", 501),
    .refused("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: identity\r\n\r\n", 501),
    .refused("POST / HTTP/1.0\r\n\(host)Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    .refused("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n"),
    .refused("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n 3\r\nabc\r\n0\r\n\r\n"),
    .refused("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n"),
    .refused("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n"),
    .refused("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n0\r\n\r\n"),
    .refused("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n"),
    .refused("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n\r\n"),
    .refused("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\n0\r\n x: y\r\n\r\n"),
    .refused("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\nFFFFFFFFF\r\n"),
    .refused("POST / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n", 413),
  ]

  @Test("The verdict is the expected one, whole and split at every byte", arguments: requestLines + fields + framing)
  func verdict(_ example: Case) {
    let bytes = Array(example.bytes.utf8)
    let expected = Verdict(requests: example.requests, rejection: example.rejection)
    #expect(play([bytes]) == expected)
    for split in 1..<bytes.count {
      #expect(play([Array(bytes[..<split]), Array(bytes[split...])]) == expected, "split at \(split)")
    }
    #expect(play(bytes.map { [$0] }) == expected, "a byte at a time")
  }

  @Test(
    "A request that is not whole is waited for",
    arguments: [
      "", "G", "GET / HTTP/1.1\r\nHost: a\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab",
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
    ])
  func incomplete(_ text: String) {
    #expect(play(text) == Verdict())
  }

  @Test("Each limit refuses what is one over it, and nothing else")
  func limits() {
    var limits = Limits()
    limits.requestLineBytes = 30
    limits.headBytes = 100
    limits.fields = 3
    limits.bodyBytes = 4
    let head = "GET / HTTP/1.1\r\nHost: a\r\n"

    let line = "GET /aaaaaaaaaaaaaaaa HTTP/1.1"
    #expect(line.utf8.count == 30)
    #expect(play("\(line)\r\nHost: a\r\n\r\n", limits: limits).requests.count == 1)
    #expect(play("GET /aaaaaaaaaaaaaaaaa HTTP/1.1\r\nHost: a\r\n\r\n", limits: limits).rejection == 414)

    let padding = 100 - "\(head)X: \r\n\r\n".utf8.count
    #expect(play("\(head)X: \(String(repeating: "x", count: padding))\r\n\r\n", limits: limits).requests.count == 1)
    #expect(play("\(head)X: \(String(repeating: "x", count: padding + 1))\r\n\r\n", limits: limits).rejection == 431)

    #expect(play("\(head)A: 1\r\nB: 2\r\n\r\n", limits: limits).requests.count == 1)
    #expect(play("\(head)A: 1\r\nB: 2\r\nC: 3\r\n\r\n", limits: limits).rejection == 431)

    #expect(play("\(head)Content-Length: 4\r\n\r\nabcd", limits: limits).requests == ["get / [abcd]"])
    #expect(play("\(head)Content-Length: 5\r\n\r\nabcde", limits: limits).rejection == 413)
    let chunked = "\(head)Transfer-Encoding: chunked\r\n\r\n"
    #expect(play("\(chunked)4\r\nabcd\r\n0\r\n\r\n", limits: limits).requests == ["get / [abcd]"])
    #expect(play("\(chunked)4\r\nabcd\r\n1\r\ne\r\n0\r\n\r\n", limits: limits).rejection == 413)
  }

  @Test("100 Continue is asked for only while the body has not begun to arrive")
  func expectContinue() {
    let now = ContinuousClock.now
    let head = Array("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n".utf8)
    var parser = RequestParser()
    var connection = HTTP1Connection(limits: Limits(), now: now)
    var bytes = head
    var span = bytes.mutableSpan
    #expect(connection.step(&span, parser: &parser, now: now) == .sendContinue)
    span = bytes.mutableSpan
    #expect(connection.step(&span, parser: &parser, now: now) == .wait)

    connection = HTTP1Connection(limits: Limits(), now: now)
    bytes = head + Array("a".utf8)
    span = bytes.mutableSpan
    #expect(connection.step(&span, parser: &parser, now: now) == .request(consumed: bytes.count))
  }

  @Test("A trickle of bytes does not move a deadline")
  func deadlines() {
    let start = ContinuousClock.now
    let limits = Limits()
    var parser = RequestParser()
    var connection = HTTP1Connection(limits: limits, now: start)
    #expect(connection.deadline == start.advanced(by: limits.headTimeout))

    var bytes = Array("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na".utf8)
    let headLength = bytes.count - 1
    let first = start.advanced(by: .seconds(1))
    for count in 1..<headLength {
      var piece = Array(bytes[..<count])
      var span = piece.mutableSpan
      _ = connection.step(&span, parser: &parser, now: first.advanced(by: .milliseconds(count)))
    }
    #expect(connection.deadline == first.advanced(by: .milliseconds(1) + limits.headTimeout))

    let whole = start.advanced(by: .seconds(5))
    for later in [whole, whole.advanced(by: .seconds(3))] {
      var span = bytes.mutableSpan
      #expect(connection.step(&span, parser: &parser, now: later) == .wait)
    }
    #expect(connection.deadline == whole.advanced(by: limits.bodyTimeout))
    #expect(connection.timeoutRejection?.status == 408)

    bytes += Array("b".utf8)
    let asked = start.advanced(by: .seconds(9))
    var span = bytes.mutableSpan
    #expect(connection.step(&span, parser: &parser, now: asked) == .request(consumed: bytes.count))
    #expect(connection.deadline == asked.advanced(by: limits.requestTimeout))
    #expect(connection.timeoutRejection?.status == 504)

    connection.answered(keepAlive: true, now: asked)
    #expect(connection.deadline == asked.advanced(by: limits.idleTimeout))
    #expect(connection.timeoutRejection == nil)
  }
}
