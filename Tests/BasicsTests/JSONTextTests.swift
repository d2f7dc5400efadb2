import Basics
import FoundationEssentials
import Testing

@Suite struct JSONTextTests {
  @Test(
    "What a terminal may take for more than a character is escaped",
    arguments: [
      ("\u{1B}[31m", "\\u001b[31m"), ("\u{7F}\u{85}", "\\u007f\\u0085"), ("a\nb", "a\\nb"),
      ("a\u{2028}b\u{2029}", "a\\u2028b\\u2029"), ("\u{202E}txt\u{2066}\u{200F}", "\\u202etxt\\u2066\\u200f"),
      ("\"\\", #"\"\\"#),
    ])
  func escaped(_ text: String, _ expected: String) throws {
    let written = JSONText.string(text)
    #expect(String(decoding: written, as: UTF8.self) == "\"\(expected)\"")
    #expect(try JSONDecoder().decode(String.self, from: Data(written)) == text)
  }

  @Test("Letters of every script stay as they are", arguments: ["Zürich", "東京", "e\u{301}", "🚀", "a b~"])
  func plain(_ text: String) {
    #expect(JSONText.string(text) == Array("\"\(text)\"".utf8))
  }
}
