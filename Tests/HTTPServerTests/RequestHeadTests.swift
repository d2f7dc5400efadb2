import Testing

@testable import HTTPServer

@Suite struct RequestHeadTests {
  private static let long = String(repeating: "x", count: 63)

  /// The value of the field called `name` in a header with these fields.
  private func value(of name: StaticString, among fields: [String]) throws -> String? {
    let bytes = Array("GET / HTTP/1.1\r\nHost: a\r\n\(fields.map { "\($0)\r\n" }.joined())\r\n".utf8)
    var parser = RequestParser()
    try parser.parse(bytes.span, end: bytes.count, limits: Limits())
    return parser.head.value(of: name, in: bytes.span).map { bytes.span.text(at: $0) }
  }

  @Test("A field is found by its name in either case, the first where there are several")
  func found() throws {
    #expect(try value(of: "accept", among: ["Origin: 1", "ACCEPT: 2", "accept: 3"]) == "2")
  }

  @Test("A field of another name is not found, though the names are of one length")
  func otherName() throws {
    #expect(try value(of: "accept", among: ["origin: 1"]) == nil)
  }

  @Test("Nothing of the header before is found")
  func reset() throws {
    var parser = RequestParser()
    for (field, isFound) in [("Accept: 1", true), ("B: 2", false)] {
      let bytes = Array("GET / HTTP/1.1\r\nHost: a\r\n\(field)\r\n\r\n".utf8)
      try parser.parse(bytes.span, end: bytes.count, limits: Limits())
      #expect((parser.head.value(of: "accept", in: bytes.span) != nil) == isFound)
    }
  }

  @Test("Long names are found and told apart")
  func longNames() throws {
    let name: StaticString = "x-2345678901234567890123456789012345678901234567890123456789012345"
    #expect(try value(of: name, among: ["\(Self.long): 1", "\(name): 2"]) == "2")
    #expect(try value(of: name, among: ["\(Self.long): 1"]) == nil)
  }
}
