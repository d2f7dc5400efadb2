/// The character classes of RFC 9110 §5.6, as bit sets.
enum Octet {
  static let tab: UInt8 = 0x09
  static let lineFeed: UInt8 = 0x0A
  static let carriageReturn: UInt8 = 0x0D
  static let space: UInt8 = 0x20

  /// tchar: letters, digits and !#$%&'*+-.^_`|~
  @inline(__always) static func isToken(_ byte: UInt8) -> Bool {
    let set: UInt64 = byte < 64 ? 0x03ff_6cfa_0000_0000 : 0x57ff_ffff_c7ff_fffe
    return byte < 128 && set & (1 << UInt64(byte & 63)) != 0
  }

  /// What a field value may hold: visible ASCII, space, tab, and opaque bytes above ASCII.
  @inline(__always) static func isFieldValue(_ byte: UInt8) -> Bool { byte >= 0x20 && byte != 0x7F || byte == tab }

  @inline(__always) static func isVisible(_ byte: UInt8) -> Bool { byte > 0x20 && byte < 0x7F }

  /// Visible, and neither `?` nor `#`, which end the path of a target.
  @inline(__always) static func isOfPath(_ byte: UInt8) -> Bool {
    isVisible(byte) && byte != UInt8(ascii: "?") && byte != UInt8(ascii: "#")
  }

  @inline(__always) static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

  @inline(__always) static func isSpace(_ byte: UInt8) -> Bool { byte == space || byte == tab }

  /// What a host's name is made of in practice: letters, digits, and `-`, `.`, `_`, `~` (RFC 3986 §3.2.2, unreserved).
  static func isName(_ byte: UInt8) -> Bool {
    let set: UInt64 = byte < 64 ? 0x03ff_6000_0000_0000 : 0x47ff_fffe_87ff_fffe
    return byte < 128 && set & (1 << UInt64(byte & 63)) != 0
  }
}
