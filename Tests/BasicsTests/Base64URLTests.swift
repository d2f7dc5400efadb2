import Basics
import Testing

@Suite struct Base64URLTests {
  @Test(
    "Text is encoded as RFC 4648 §10 has it, without padding",
    arguments: [
      ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"), ("foobar", "Zm9vYmFy"),
    ])
  func examples(_ text: String, _ encoded: String) {
    #expect(Base64URL.encode(text.utf8) == encoded)
    #expect(Base64URL.decode(encoded) == Array(text.utf8))
  }

  @Test("Bytes that need the last two characters of the alphabet get those that are safe in URLs")
  func alphabet() {
    #expect(Base64URL.encode([0xFB, 0xFF, 0xFE]) == "-__-")
    #expect(Base64URL.decode("-__-") == [0xFB, 0xFF, 0xFE])
  }

  @Test("Bytes of any length come back", arguments: 0..<70)
  func roundTrip(_ length: Int) {
    let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 * 151 + length) }
    #expect(Base64URL.decode(Base64URL.encode(bytes)) == (bytes.isEmpty ? nil : bytes))
  }

  @Test(
    "Padding, other alphabets, blanks and impossible lengths are refused",
    arguments: ["", "Zg==", "+__-", "/w", "Z g", "Zg\n", "Z", "Zm9vY", "Zm9v\u{E9}", "Zg.", "Zm9v\u{0}YmFy"])
  func malformed(_ text: String) {
    #expect(Base64URL.decode(text) == nil)
  }
}
