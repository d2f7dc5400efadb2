import Testing

@testable import Settings

/// What is no YAML is told at the place that has to be mended.
@Suite struct YAMLFaultTests {
  @Test(
    "A fault is told where it is, and how it is mended",
    arguments: [
      ("a:\n\tb: c", "2:1", "a tab; expected spaces"),
      ("a: @b", "1:4", "begins with '@' needs quotes"),
      ("a:\n  b: 'c\n  d: e\n", "2:6", "the quote that opens here is not closed"),
      ("a:\n  b: \"c\n", "2:6", "the quote that opens here is not closed"),
      ("a: 1\nb:c\nd: e\n", "2:1", "expected a colon and a space behind this key"),
      ("a:\n  b:c\n  d: e\n", "3:4", "the line above lacks a space behind its colon"),
      ("a:\n  b: c\n d: e\n", "3:2", "indented as the one at 1:1"),
      ("a:\n  - b\n  c: d\n", "3:3", "expected a '-' here, indented as the one at 2:3"),
      ("a: b: c", "1:5", "needs quotes"),
      ("a: {b: c", "2:1", "to go on with what opens at 1:4"),
      ("a: {{ .Values.b }}", "1:5", "what a template was to fill in"),
    ])
  func fault(_ text: String, _ place: String, _ words: String) {
    let error = #expect(throws: YAMLError.self) { try YAMLParser.parse(Array(text.utf8)) }
    #expect(error.map { "\($0.mark)" } == place && error?.reason.contains(words) == true, "\(error as Any)")
  }
}
