/// Hexadecimal digits (RFC 4648 §8), as ASCII.
package enum Hex {
  /// Two digits a byte, in lower case.
  package static func text(_ bytes: some Sequence<UInt8>) -> String {
    String(decoding: bytes.flatMap { [digit($0 >> 4), digit($0 & 15)] }, as: UTF8.self)
  }

  /// Sixteen digits in lower case, with the zeros in front.
  package static func text(_ word: UInt64) -> String {
    text((0..<8).reversed().map { UInt8(truncatingIfNeeded: word >> (8 * $0)) })
  }

  /// The digit for a value below 16, in lower case.
  package static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }

  /// The digit for a value below 16, in upper case, as percent-encoding has it (RFC 3986 §2.1).
  package static func upperDigit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x37 + value }

  /// What a digit of either case stands for; nil for any other byte.
  @inlinable package static func value(_ digit: UInt8) -> UInt8? {
    switch digit {
    case 0x30...0x39: digit - 0x30
    case 0x41...0x46: digit - 0x37
    case 0x61...0x66: digit - 0x57
    default: nil
    }
  }

  /// nil unless `text` is pairs of digits of either case.
  package static func bytes(_ text: some StringProtocol) -> [UInt8]? {
    guard text.utf8.count.isMultiple(of: 2) else { return nil }
    var bytes: [UInt8] = []
    var high: UInt8?
    for byte in text.utf8 {
      guard let value = value(byte) else { return nil }
      if let upper = high { bytes.append(upper << 4 | value) }
      high = high == nil ? value : nil
    }
    return bytes
  }
}
