/// In which of a cluster's 16384 slots a key lies.
enum RedisSlot {
  static let count = 16384

  /// CRC16 of the key, or of what is within its first braces if that is anything (Redis Cluster specification, "Hash
  /// tags").
  static func number(of key: String) -> Int {
    let bytes = Array(key.utf8)
    guard let open = bytes.firstIndex(of: UInt8(ascii: "{")),
      let close = bytes[open...].firstIndex(of: UInt8(ascii: "}")), close > open + 1
    else { return Int(crc16(bytes[...])) % count }
    return Int(crc16(bytes[(open + 1)..<close])) % count
  }

  /// CRC-16/XMODEM.
  private static func crc16(_ bytes: ArraySlice<UInt8>) -> UInt16 {
    bytes.reduce(into: 0) { crc, byte in
      crc ^= UInt16(byte) << 8
      for _ in 0..<8 { crc = crc & 0x8000 == 0 ? crc << 1 : crc << 1 ^ 0x1021 }
    }
  }
}
