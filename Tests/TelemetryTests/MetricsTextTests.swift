import Testing

@testable import Telemetry

@Suite struct MetricsTextTests {
  @Test(
    "What would end a label's value is escaped, whatever combines with it",
    arguments: [
      (#"a"b"#, #"a\"b"#), (#"a\b"#, #"a\\b"#), ("a\nb", #"a\nb"#), ("a\"\u{301}b", "a\\\"\u{301}b"),
      ("a\\\u{301}b", "a\\\\\u{301}b"), ("ü€", "ü€"),
    ])
  func escaped(_ value: String, _ expected: String) {
    #expect(MetricsText.escaped(value).unicodeScalars.elementsEqual(expected.unicodeScalars))
  }
}
