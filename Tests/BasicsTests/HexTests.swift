import Basics
import Testing

@Suite struct HexTests {
  @Test("Bytes are two digits each, and a word is sixteen")
  func text() {
    #expect(Hex.text([0, 0x0F, 0xA0, 0xFF]) == "000fa0ff")
    #expect(Hex.text([]) == "")
    #expect(Hex.text(0 as UInt64) == "0000000000000000")
    #expect(Hex.text(0x0123_4567_89AB_CDEF) == "0123456789abcdef")
    #expect(Hex.text(UInt64.max) == "ffffffffffffffff")
  }

  @Test("Every byte comes back from its text, in either case")
  func roundTrip() {
    let bytes = Array(UInt8.min...UInt8.max)
    #expect(Hex.bytes(Hex.text(bytes)) == bytes)
    #expect(Hex.bytes(Hex.text(bytes).uppercased()) == bytes)
  }

  @Test(
    "A text that is not pairs of digits is refused",
    arguments: ["0", "0g", "g0", "+1", "-1", " 1", "0x", "\u{FF11}1", "1\u{661}"])
  func malformed(_ text: String) {
    #expect(Hex.bytes(text) == nil)
  }

  @Test("A digit has its value, and any other byte has none")
  func digits() {
    for value: UInt8 in 0..<16 {
      #expect(Hex.value(Hex.digit(value)) == value && Hex.value(Hex.upperDigit(value)) == value)
    }
    #expect((UInt8.min...UInt8.max).count { Hex.value($0) != nil } == 22)
    #expect(Hex.digit(10) == UInt8(ascii: "a") && Hex.upperDigit(15) == UInt8(ascii: "F"))
  }
}
