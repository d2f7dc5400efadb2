import Testing

@testable import HTTPServer

/// RFC 9112 §6 and §7: where a body ends, which is where smuggled requests begin.
@Suite struct FramingTests {
  private static let chunked = "Transfer-Encoding: chunked"

  static let lengths: [Case] = [
    .accepted("9112 §6.3", post("Content-Length: 3", body: "abc"), "post / [abc]"),
    .accepted("9112 §6.3 none is none", post(body: ""), "post /"),
    .accepted("9112 §6.3 zero", post("Content-Length: 0", body: "") + get(), "post /", "get /"),
    .accepted("9110 §8.6 leading zeros", post("Content-Length: 003", body: "abc"), "post / [abc]"),
    .accepted("9110 §9.3.1 GET may have one", get("Content-Length: 2") + "ab" + get(), "get / [ab]", "get /"),
    .accepted(
      "9110 §9.3.2 so may HEAD", "HEAD / HTTP/1.1\r\n\(host)Content-Length: 2\r\n\r\nab" + get(), "head / [ab]", "get /"
    ),
    .accepted(
      "9112 §6.3 a body that looks like a request", post("Content-Length: 4", body: "GET ") + get(), "post / [GET ]",
      "get /"),
    .refused("9112 §6.3 twice", post("Content-Length: 3", "Content-Length: 4", body: "abc")),
    .refused("9112 §6.3 twice, though equal", post("Content-Length: 3", "Content-Length: 3", body: "abc")),
    .refused("9112 §6.3 a list, though equal", post("Content-Length: 3, 3", body: "abc")),
    .refused("9110 §8.6 a sign", post("Content-Length: +3", body: "abc")),
    .refused("9110 §8.6 a sign", post("Content-Length: -3", body: "abc")),
    .refused("9110 §8.6 hex", post("Content-Length: 0x3", body: "abc")),
    .refused("9110 §8.6 two numbers", post("Content-Length: 3 3", body: "abc")),
    .refused("9110 §8.6 a fraction", post("Content-Length: 3.0", body: "abc")),
    .refused("9110 §8.6 nothing", post("Content-Length:", body: "abc")),
    .refused("9110 §8.6 other digits", post("Content-Length: \u{0663}", body: "abc")),
    .refused("9110 §8.6 overflow", post("Content-Length: 99999999999999999999", body: "")),
    .refused("9110 §8.6 overflow", post("Content-Length: 18446744073709551619", body: "abc")),
    .refused("9110 §15.5.14", post("Content-Length: 999999", body: ""), 413),
    .refused("9110 §15.5.14 eighteen digits", post("Content-Length: 999999999999999999", body: ""), 413),
  ]

  static let codings: [Case] = [
    .refused("9112 §6.1 both", post("Content-Length: 3", chunked, body: "0\r\n\r\n")),
    .refused("9112 §6.1 both, the other way round", post(chunked, "Content-Length: 3", body: "0\r\n\r\n")),
    .refused("9112 §6.1 both, though zero", post("Content-Length: 0", chunked, body: "0\r\n\r\n")),
    .refused("9112 §6.1 twice", post(chunked, chunked, body: "0\r\n\r\n")),
    .refused("9112 §6.1 not in HTTP/1.0", "POST / HTTP/1.0\r\n\(host)\(chunked)\r\n\r\n0\r\n\r\n"),
    .refused("9112 §6.1 unknown", post("Transfer-Encoding: gzip, chunked", body: "0\r\n\r\n"), 501),
    .refused("9112 §6.1 chunked twice", post("Transfer-Encoding: chunked, chunked", body: "0\r\n\r\n"), 501),
    .refused("9112 §6.1 not last", post("Transfer-Encoding: chunked, identity", body: "0\r\n\r\n"), 501),
    .refused("9112 §6.1 parameters", post("Transfer-Encoding: chunked;q=1", body: "0\r\n\r\n"), 501),
    .refused("9112 §6.1 identity is gone", post("Transfer-Encoding: identity", body: ""), 501),
    .refused("9112 §6.1 nothing", post("Transfer-Encoding:", body: ""), 501),
    .refused("9112 §6.1 xchunked", post("Transfer-Encoding: xchunked", body: "0\r\n\r\n"), 501),
    .refused("9110 §5.5 a vertical tab is no space", post("Transfer-Encoding:\u{B}chunked", body: "0\r\n\r\n")),
    .refused("9112 §5.1 a space hides the name", post("Transfer-Encoding : chunked", body: "0\r\n\r\n")),
  ]

  static let chunks: [Case] = [
    .accepted("9112 §7.1", post(chunked, body: "3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n"), "post / [abc0123456789]"),
    .accepted("9112 §7.1 hex in any case", post(chunked, body: "a\r\n0123456789\r\n0\r\n\r\n"), "post / [0123456789]"),
    .accepted("9112 §7.1 zeros", post(chunked, body: "0003\r\nabc\r\n000\r\n\r\n"), "post / [abc]"),
    .accepted("9112 §7 in any case", post("transfer-encoding: CHUNKED", body: "0\r\n\r\n") + get(), "post /", "get /"),
    .accepted("9112 §7.1 CR LF in the data", post(chunked, body: "4\r\n\r\n\r\n\r\n0\r\n\r\n"), "post / [\r\n\r\n]"),
    .accepted(
      "9112 §7.1.2 trailers are dropped", post(chunked, body: "1\r\na\r\n0\r\nHost: evil\r\nX: y\r\n\r\n") + get(),
      "post / [a]", "get /"),
    .accepted(
      "9112 §7.1.1 extensions are ignored", post(chunked, body: "3;x=y\r\nabc\r\n0;z\r\n\r\n") + get(), "post / [abc]",
      "get /"),
    .accepted(
      "9112 §7.1.1 a quoted one", post(chunked, body: "3;x=\"a; b\";y\r\nabc\r\n0\r\n\r\n"), "post / [abc]"),
    .accepted("9112 §7.1.1 space around it", post(chunked, body: "3 \t; x = y\r\nabc\r\n0\r\n\r\n"), "post / [abc]"),
    .refused("9112 §7.1.1 an extension ends with CR LF", post(chunked, body: "3;x\nabc\r\n0\r\n\r\n")),
    .refused("9112 §7.1.1 no bare CR in one", post(chunked, body: "3;x\ry\r\nabc\r\n0\r\n\r\n")),
    .refused("9112 §7.1.1 no NUL in one", post(chunked, body: "3;x\0\r\nabc\r\n0\r\n\r\n")),
    .refused("9112 §7.1.1 a size before one", post(chunked, body: ";x\r\nabc\r\n0\r\n\r\n")),
    .refused("9112 §7.1.1 nothing else behind a size", post(chunked, body: "3 x\r\nabc\r\n0\r\n\r\n")),
    .refused("9112 §7.1 space before", post(chunked, body: " 3\r\nabc\r\n0\r\n\r\n")),
    .refused("9112 §7.1 space behind", post(chunked, body: "3 \r\nabc\r\n0\r\n\r\n")),
    .refused("9112 §7.1 a prefix", post(chunked, body: "0x3\r\nabc\r\n0\r\n\r\n")),
    .refused("9112 §7.1 a sign", post(chunked, body: "+3\r\nabc\r\n0\r\n\r\n")),
    .refused("9112 §7.1 a sign", post(chunked, body: "-3\r\nabc\r\n0\r\n\r\n")),
    .refused("9112 §7.1 no size", post(chunked, body: "\r\nabc\r\n0\r\n\r\n")),
    .refused("9112 §7.1 no hex", post(chunked, body: "g\r\nabc\r\n0\r\n\r\n")),
    .refused("9112 §7.1 CR LF behind the size", post(chunked, body: "3\nabc\r\n0\r\n\r\n")),
    .refused("9112 §7.1 CR LF behind the size", post(chunked, body: "3\rabc\r\n0\r\n\r\n")),
    .refused("9112 §7.1 CR LF behind the data", post(chunked, body: "3\r\nabcX\r\n0\r\n\r\n")),
    .refused("9112 §7.1 CR LF behind the data", post(chunked, body: "3\r\nabc\n0\r\n\r\n")),
    .refused("9112 §7.1 CR LF behind the data", post(chunked, body: "3\r\nabc\r0\r\n\r\n")),
    .refused("9112 §7.1 a shorter size", post(chunked, body: "2\r\nabc\r\n0\r\n\r\n")),
    .refused("9112 §7.1 overflow", post(chunked, body: "FFFFFFFFF\r\n")),
    .refused("9112 §7.1 overflow", post(chunked, body: "10000000000000003\r\nabc\r\n0\r\n\r\n")),
    .refused("9110 §15.5.14", post(chunked, body: "FFFFFFFF\r\n"), 413),
    .refused("9112 §7.1.2 a trailer is a field", post(chunked, body: "0\r\n x: y\r\n\r\n")),
    .refused("9112 §7.1.2 a trailer is a field", post(chunked, body: "0\r\n: y\r\n\r\n")),
    .refused("9112 §7.1.2 a trailer has a colon", post(chunked, body: "0\r\nnocolonhere\r\n\r\n")),
    .refused("9112 §7.1.2 CR LF", post(chunked, body: "0\r\nX: y\n\r\n")),
    .refused("9112 §7.1 the last CR LF", post(chunked, body: "0\r\n\rX")),
  ]

  @Test("Framing", arguments: lengths + codings + chunks)
  func framing(_ example: Case) { example.check() }

  @Test(
    "A request that is not whole is waited for",
    arguments: [
      "", "G", "GET / HTTP/1.1\r\nHost: a\r\n", post("Content-Length: 3", body: "ab"), post(chunked, body: "3\r\nab"),
      post(chunked, body: "3\r\nabc\r\n"), post(chunked, body: "0\r\nX: y\r\n"),
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

  @Test(
    "Tiny chunks, endless extensions and endless trailers cannot make the server hold much more than the body's limit")
  func overhead() {
    let tiny = String(repeating: "000001\r\na\r\n", count: 20_000)
    #expect(play(post(Self.chunked, body: tiny)).rejection == 413)
    for behindSize in [";" + String(repeating: "x", count: 40_000), String(repeating: " ", count: 40_000)] {
      #expect(play(post(Self.chunked, body: "1" + behindSize)).rejection == 413)
    }
    let trailers = String(repeating: "X: y\r\n", count: 2_000)
    #expect(play(post(Self.chunked, body: "0\r\n" + trailers)).rejection == 431)
  }
}
