import Basics
import Testing

@testable import HTTPServer

@Suite struct ResponseTests {
  @Test(
    "JSON strings are escaped",
    arguments: [
      ("plain", "\"plain\""), ("a\"b\\c", "\"a\\\"b\\\\c\""), ("\n\u{1}\u{7f}", "\"\\n\\u0001\\u007f\""),
      ("ü€😀", "\"ü€😀\""),
    ])
  func escaping(_ text: String, _ expected: String) {
    #expect(String(decoding: JSONText.string(text), as: UTF8.self) == expected)
  }

  @Test("Request ids count up in hexadecimal and are never the same")
  func requestIDs() {
    var ids = RequestID()
    var seen: Set<[UInt8]> = []
    for _ in 0..<5000 {
      ids.advance()
      #expect(seen.insert(ids.bytes).inserted)
    }
    #expect(String(decoding: ids.bytes, as: UTF8.self).hasSuffix("-00001388"))
    #expect(RequestID().bytes.prefix(16) != ids.bytes.prefix(16))
  }

  @Test(
    "A caller's request id is kept only if it is sane",
    arguments: [
      ("abc-123", true), ("a/b:c", true), ("", false), ("a b", false), ("a\"b", false), ("ä", false),
      (String(repeating: "a", count: 128), true), (String(repeating: "a", count: 129), false),
    ])
  func saneIDs(_ id: String, _ isSane: Bool) {
    let bytes = Array(id.utf8)
    #expect(RequestID.isSane(0..<bytes.count, in: bytes.span) == isSane)
  }

  @Test("The Date line is rendered again after a second, not before")
  func date() {
    var line = DateLine()
    let now = Instant.now
    line.refresh(now: now)
    let text = String(decoding: line.bytes, as: UTF8.self)
    #expect(
      text.wholeMatch(of: /Date: (Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\r\n/) != nil
    )
  }
}
