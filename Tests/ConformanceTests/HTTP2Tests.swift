import TestSupport
import Testing

@testable import HTTPServer

/// RFC 9113.
@Suite struct HTTP2Tests {
  private static func fields(_ fields: (String, String)...) -> [HTTP2Frame] { [.headers(1, fields)] }

  private static func with(_ more: (String, String)...) -> [HTTP2Frame] {
    [.headers(1, HTTP2Frame.request("GET", "/") + more)]
  }

  private static let (method, scheme, path) = ((":method", "GET"), (":scheme", "http"), (":path", "/"))
  private static let authority = (":authority", "a")
  private static let malformed = "reset 1 PROTOCOL_ERROR"

  static let requests: [HTTP2Case] = [
    .accepted("§8.3.1", "get /a?b", .get(1, "/a?b")),
    .accepted("§8.3.1 nothing is normalised", "get /token/https://x//./../%2e", .get(1, "/token/https://x//./../%2e")),
    .accepted("§8.3.1 asterisk", "options *", .headers(1, HTTP2Frame.request("OPTIONS", "*"))),
    .accepted("§8.1 a body", "post / [abc]", .post(1), .data(1, Array("ab".utf8)), .data(1, [0x63], ends: true)),
    .accepted("§6.1 padding", "post / [ab]", .post(1), .data(1, Array("ab".utf8), ends: true, padding: 9)),
    .accepted("§8.1 trailers are dropped", "post / [a]", .post(1), .data(1, [0x61]), .headers(1, [("x", "y")])),
    .accepted(
      "§8.1.1 a length that is right", "post / [a]", .post(1, "/", ("content-length", "1")),
      .data(1, [0x61], ends: true)),
    .accepted("§8.3.1 Host says the same", "get /", .get(1, "/", ("host", "a"))),
    .accepted("§8.3.1 Host alone", "get /", .headers(1, [method, scheme, path, ("host", "a")])),
    .accepted("§8.2.2 TE trailers", "get /", .get(1, "/", ("te", "trailers"))),
    .accepted(
      "§4.3 a block in pieces", "get /", .headers(1, HTTP2Frame.request("GET", "/"), endsBlock: false),
      .continuation(1, HTTP2Frame.block([("x", "y")])), .continuation(1, endsBlock: true)),
    .accepted("§5.5 unknown frames are ignored", "get /", HTTP2Frame(99, stream: 1, [1, 2, 3]), .get(1)),
  ]

  static let refused: [HTTP2Case] = [
    .refused("§8.3 no method", malformed, frames: fields(scheme, authority, path)),
    .refused("§8.3 no path", malformed, frames: fields(method, scheme, authority)),
    .refused("§8.3 an empty path", malformed, frames: fields(method, scheme, authority, (":path", ""))),
    .refused("§8.3 no scheme", malformed, frames: fields(method, authority, path)),
    .refused("§8.3.1 no authority", malformed, frames: fields(method, scheme, path)),
    .refused("§8.3 twice", malformed, frames: fields(method, method, scheme, authority, path)),
    .refused("§8.3 twice", malformed, frames: fields(method, scheme, authority, path, (":path", "/x"))),
    .refused("§8.3 unknown", malformed, frames: fields(method, scheme, authority, path, (":x", "y"))),
    .refused("§8.3 of a response", malformed, frames: fields(method, scheme, authority, path, (":status", "200"))),
    .refused("§8.3 behind a field", malformed, frames: fields(method, scheme, authority, ("x", "y"), path)),
    .refused("§8.1 in trailers", malformed, frames: [.post(1), .headers(1, [path])]),
    .refused("§8.2.1 upper case", malformed, frames: with(("X-Y", "z"))),
    .refused("§8.2.1 an empty name", "400 1", "data 1 2 end", frames: with(("", "z"))),
    .refused("§8.2.2 Connection", malformed, frames: with(("connection", "close"))),
    .refused("§8.2.2 Keep-Alive", malformed, frames: with(("keep-alive", "5"))),
    .refused("§8.2.2 Proxy-Connection", malformed, frames: with(("proxy-connection", "close"))),
    .refused("§8.2.2 Transfer-Encoding", malformed, frames: with(("transfer-encoding", "chunked"))),
    .refused("§8.2.2 Upgrade", malformed, frames: with(("upgrade", "h2c"))),
    .refused("§8.2.2 TE other than trailers", malformed, frames: with(("te", "gzip"))),
    .refused("§8.2.1 CR LF in a value", "400 1", "data 1 2 end", frames: with(("x", "y\r\nhost: b"))),
    .refused("§8.2.1 NUL in a value", "400 1", "data 1 2 end", frames: with(("x", "y\u{0}"))),
    .refused("§8.2.1 LF in a value", "400 1", "data 1 2 end", frames: with(("x", "\n"))),
    .refused("§8.2.1 a space in a name", "400 1", "data 1 2 end", frames: with(("x y", "z"))),
    .refused("§8.2.1 a colon in a name", "400 1", "data 1 2 end", frames: with(("x:y", "z"))),
    .refused("§8.3.1 a line break in the path", malformed, frames: [.get(1, "/ HTTP/1.1\r\nx: y\r\n")]),
    .refused("§8.3.1 a space in the path", malformed, frames: [.get(1, "/a HTTP/1.1")]),
    .refused("§8.3.1 a fragment", "400 1", "data 1 2 end", frames: [.get(1, "/a#b")]),
    .refused("§8.3.1 bytes beyond ASCII", "400 1", "data 1 2 end", frames: [.get(1, "/\u{E4}")]),
    .refused("§8.3.1 absolute form", malformed, frames: [.get(1, "http://a/")]),
    .refused(
      "§8.3.1 absolute form, another scheme", "400 1", "data 1 2 end",
      frames: fields(method, (":scheme", "ftp"), authority, (":path", "http://a/"))),
    .refused(
      "§8.3.1 a user in the authority", "400 1", "data 1 2 end", byLibrary: malformed,
      frames: fields(method, scheme, path, (":authority", "u@a"))),
    .refused("§8.3.1 Host says otherwise", "400 1", "data 1 2 end", frames: with(("host", "b"))),
    .refused("§8.3.1 two Hosts", malformed, frames: fields(method, scheme, path, ("host", "a"), ("host", "a"))),
    .refused("§8.5 no tunnels", "400 1", "data 1 2 end", frames: fields((":method", "CONNECT"), authority)),
    .refused(
      "§8.1.1 a length that is wrong", malformed,
      frames: [.post(1, "/", ("content-length", "2")), .data(1, [0x61], ends: true)]),
    .refused(
      "§8.1.1 a length twice", malformed,
      frames: [.post(1, "/", ("content-length", "1"), ("content-length", "1"))]),
    .refused("§8.1.1 a length that is none", malformed, frames: [.post(1, "/", ("content-length", "+1"))]),
    .refused(
      "§10.5.1 too many fields", "431 1", "data 1 2 end",
      frames: [.headers(1, HTTP2Frame.request("GET", "/") + (0..<100).map { ("x\($0)", "") })]),
    .refused(
      "§10.5.1 a path over the limit", "414 1", "data 1 2 end",
      frames: [.get(1, "/" + String(repeating: "a", count: 8192))]),
    .refused(
      "§6.9.1 a window over the limit", "reset 1 FLOW_CONTROL_ERROR",
      frames: [.post(1), .window(1, 0x7FFF_FFFF)]),
  ]

  static let ended: [HTTP2Case] = [
    .ended("§5.1 DATA on an idle stream", "goaway PROTOCOL_ERROR", frames: [.data(1, [0x61])]),
    .ended("§5.1 RST_STREAM on an idle stream", "goaway PROTOCOL_ERROR", frames: [.reset(1)]),
    .ended("§5.1.1 an even stream", "goaway PROTOCOL_ERROR", frames: [.get(2)]),
    .ended("§6.1 DATA on stream 0", "goaway PROTOCOL_ERROR", frames: [.data(0, [0x61])]),
    .ended("§6.2 HEADERS on stream 0", "goaway PROTOCOL_ERROR", frames: [.get(0)]),
    .ended("§5.1.1 a smaller stream", "goaway PROTOCOL_ERROR", frames: [.post(5), .get(3)]),
    .ended("§6.3 PRIORITY on stream 0", "goaway PROTOCOL_ERROR", frames: [.priority(0)]),
    .ended("§6.4 a short RST_STREAM", "goaway FRAME_SIZE_ERROR", frames: [.post(1), HTTP2Frame(3, stream: 1, [0])]),
    .ended("§6.5 SETTINGS on a stream", "goaway PROTOCOL_ERROR", frames: [HTTP2Frame(4, stream: 1)]),
    .ended("§6.5 SETTINGS of odd length", "goaway FRAME_SIZE_ERROR", frames: [HTTP2Frame(4, [0])]),
    .ended(
      "§6.5 an ACK with a payload", "goaway FRAME_SIZE_ERROR",
      frames: [HTTP2Frame(4, flags: 1, [UInt8](repeating: 0, count: 6))]),
    .ended("§6.5.2 a window size over the limit", "goaway FLOW_CONTROL_ERROR", frames: [.settings((4, 0x8000_0000))]),
    .ended("§6.5.2 a frame size below the limit", "goaway PROTOCOL_ERROR", frames: [.settings((5, 1))]),
    .ended("§6.7 a short PING", "goaway FRAME_SIZE_ERROR", frames: [HTTP2Frame(6, [0])]),
    .ended(
      "§6.6 PUSH_PROMISE from a client", "goaway PROTOCOL_ERROR",
      frames: [.post(1), HTTP2Frame(5, flags: 4, stream: 1, [0, 0, 0, 2])]),
    .ended("§6.9 a window of nothing", "goaway PROTOCOL_ERROR", frames: [.post(1), .window(1, 0)]),
    .ended("§6.9 a connection window of nothing", "goaway PROTOCOL_ERROR", frames: [.window(0, 0)]),
    .ended("§6.10 CONTINUATION of nothing", "goaway PROTOCOL_ERROR", frames: [.continuation(1, endsBlock: true)]),
    .ended(
      "§6.10 another frame inside a block", "goaway PROTOCOL_ERROR",
      frames: [.headers(1, HTTP2Frame.request("GET", "/"), endsBlock: false), .ping()]),
    .ended(
      "§4.2 a frame over the limit", "goaway FRAME_SIZE_ERROR",
      frames: [.post(1), .data(1, [UInt8](repeating: 0, count: 16385))]),
    .ended(
      "§4.3 a block that cannot be decoded", "goaway COMPRESSION_ERROR",
      frames: [HTTP2Frame(1, flags: 5, stream: 1, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF])]),
  ]

  @Test("Requests that are right", arguments: requests)
  func right(_ example: HTTP2Case) throws { try example.check() }

  @Test("Requests that are wrong end alone", arguments: refused)
  func wrong(_ example: HTTP2Case) throws { try example.check() }

  @Test("Frames that are wrong end the connection", arguments: ended)
  func broken(_ example: HTTP2Case) throws { try example.check() }

  @Test("A body is answered 413 as soon as it is over the limit, or says that it will be, and no more of it is wanted")
  func largeBodies() throws {
    var limits = Limits()
    limits.bodyBytes = 3
    for frames: [HTTP2Frame] in [
      [.post(1), .data(1, Array("abcd".utf8))], [.post(1, "/", ("content-length", "4"))],
    ] {
      let player = try HTTP2Player(limits: limits)
      player.play(HTTP2Frame.greeting)
      player.play(frames.flatMap(\.bytes))
      #expect(player.said == ["413 1", "data 1 2 end", "reset 1 NO_ERROR"])
    }
  }

  @Test("HEADERS on a stream that the peer has ended or reset end the connection")
  func closedStreams() throws {
    for (end, said) in [
      ([HTTP2Frame.data(1, [], ends: true)], ["200 1", "data 1 2 end"]), ([.reset(1)], []),
    ] {
      let player = try HTTP2Player()
      player.play(HTTP2Frame.greeting)
      player.play(([HTTP2Frame.post(1)] + end).flatMap(\.bytes))
      player.play(.headers(1, [("x", "y")]))
      #expect(player.said == said + ["goaway PROTOCOL_ERROR"])
    }
  }

  @Test("Trailers may come on a stream that was reset here, of which the peer learns later")
  func resetStreams() throws {
    for (request, said) in [
      (HTTP2Frame.post(1, "/", ("content-length", "99999")), ["413 1", "data 1 2 end", "reset 1 NO_ERROR"]),
      (.headers(1, HTTP2Frame.request("POST", "/") + [("te", "gzip")], ends: false), ["reset 1 PROTOCOL_ERROR"]),
    ] {
      let player = try HTTP2Player()
      player.play(HTTP2Frame.greeting)
      player.play(request)
      player.play(.headers(1, [("x", "y")]), .get(3))
      #expect(player.said == said + ["200 3", "data 3 2 end"])
    }
  }

  @Test("Trailers are no new stream where others have begun since")
  func trailersBehindOthers() throws {
    let player = try HTTP2Player()
    player.play(HTTP2Frame.greeting)
    player.play(.post(1), .get(3), .data(1, [0x61]), .headers(1, [("x", "y")]))
    #expect(Set(player.requests) == ["get /", "post / [a]"])
  }

  @Test("Anything but the preface and SETTINGS first ends the connection")
  func prefaces() throws {
    for start in [Array("GET / HTTP/1.1\r\nHost: a\r\n".utf8), HTTP2Frame.preface + HTTP2Frame.ping().bytes] {
      let player = try HTTP2Player()
      player.play(start)
      #expect(player.isOver && player.requests.isEmpty)
    }
  }
}
