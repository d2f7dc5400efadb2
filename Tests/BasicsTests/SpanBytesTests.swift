import Basics
import Testing

@Suite struct SpanBytesTests {
  @Test(
    "Bytes are the same only where all of them are, and none is missing",
    arguments: [("", "", true), ("abc", "abc", true), ("abc", "abd", false), ("abc", "ab", false), ("", "a", false)])
  func same(_ one: String, _ other: String, _ areSame: Bool) {
    #expect(Array(one.utf8).span.hasSameBytes(as: Array(other.utf8).span) == areSame)
  }
}
