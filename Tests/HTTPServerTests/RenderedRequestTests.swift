import IO
import Testing

@testable import HTTPServer

/// What keeps an HTTP/2 field from becoming another line of HTTP/1.1, whether or not libnghttp2 would have let it
/// through.
@Suite struct RenderedRequestTests {
  private static let line = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")]

  private func render(_ fields: [(String, String)], limits: Limits = Limits()) -> (text: String, status: Int?) {
    var request = RenderedRequest()
    for (name, value) in fields {
      let (name, value) = (name.unicodeScalars.map { UInt8($0.value) }, value.unicodeScalars.map { UInt8($0.value) })
      request.append(name.span, value.span, limits: limits)
    }
    request.finishHead(limits)
    return (request.bytes.withBytes { $0.text(at: 0..<$0.count) }, request.rejection?.status)
  }

  @Test("A header in the bytes of HTTP/1.1, whatever the order of the pseudo-header fields")
  func rendering() {
    let expected = "GET / HTTP/1.1\r\nhost: a\r\nx-y: z \t\u{E4}\r\n\r\n"
    for order in [[0, 1, 2, 3], [3, 2, 1, 0]] {
      let (text, status) = render(order.map { Self.line[$0] } + [("x-y", "z \t\u{C3}\u{A4}"), ("host", "a")])
      #expect(text == expected && status == nil)
    }
    #expect(
      render([Self.line[0], Self.line[1], Self.line[3], ("host", "b")]).text == "GET / HTTP/1.1\r\nhost: b\r\n\r\n")
  }

  private static let refused: [(fields: [(String, String)], status: Int)] = [
    (line + [("x", "y\r\nz: a")], 400), (line + [("x", "\n")], 400), (line + [("x", "\r")], 400),
    (line + [("x", "\u{0}")], 400), (line + [("x", "\u{7F}")], 400), (line + [("x\r\ny", "z")], 400),
    (line + [("x:", "y")], 400), (line + [("x ", "y")], 400), (line + [("X", "y")], 400), (line + [("", "y")], 400),
    (line + [("host", "b")], 400), (line + [("x", "y"), (":path", "/")], 400), (line + [(":x", "y")], 400),
    (line + [(":method", "GET")], 400), (line + [(":authority", "a")], 400), (Array(line.dropLast()), 400),
    (Array(line.dropFirst()), 400), ([], 400),
    ([(":method", "GET / HTTP/1.1\r\nx:"), (":path", "/")], 400), ([(":method", "G T"), (":path", "/")], 400),
    ([(":method", "GET"), (":path", "/a b")], 400), ([(":method", "GET"), (":path", "/\r\nx: y")], 400),
    ([(":method", "GET"), (":path", "a")], 400), ([(":method", "GET"), (":path", "*a")], 400),
    ([(":method", "GET"), (":path", "")], 400), ([(":method", "GET"), (":path", "http://a/")], 400),
    ([(":method", "GET"), (":path", "/"), (":authority", "a\r\nx: y")], 400),
    ([(":method", "GET"), (":path", "/"), (":scheme", "ftp")], 400),
    ([(":method", "GET"), (":path", "/" + String(repeating: "a", count: 8192))], 414),
    ([(":method", "GET"), (":path", "/" + String(repeating: "a", count: 8185))], 414),
    (line + [("x", String(repeating: "a", count: 16_384))], 431),
    (line + (0..<9).map { ("x\($0)", String(repeating: "a", count: 2000)) }, 431),
  ]

  @Test("What cannot be rendered is refused, and nothing of it is kept", arguments: refused.indices)
  func refusals(_ index: Int) {
    let (text, status) = render(Self.refused[index].fields)
    #expect(status == Self.refused[index].status && text == "")
  }

  @Test("Fields are counted as HPACK counts them, kept or not")
  func counting() {
    var request = RenderedRequest()
    let (name, value) = (Array("x".utf8), Array("yz".utf8))
    request.append(name.span, value.span, limits: Limits(), isKept: false)
    #expect(request.headBytes == 35 && request.bytes.isEmpty)
    request.append(name.span, value.span, limits: Limits())
    #expect(request.headBytes == 70)
  }
}
