/// gzip (RFC 1952) without compression: enough for an answer that nobody asked to be coded.
enum Gzip {
  /// `bytes`, at most 65,535, as one stored block (RFC 1951 §3.2.4).
  static func store(_ bytes: [UInt8]) -> [UInt8] {
    let length = UInt16(bytes.count)
    var output: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255]
    output += [1] + little(length) + little(~length)
    output += bytes
    output += little(checksum(bytes)) + little(UInt32(bytes.count))
    return output
  }

  private static func little(_ value: some FixedWidthInteger) -> [UInt8] {
    (0..<value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }

  /// CRC-32 of RFC 1952 §8, a bit at a time.
  private static func checksum(_ bytes: [UInt8]) -> UInt32 {
    var sum = ~UInt32(0)
    for byte in bytes {
      sum ^= UInt32(byte)
      for _ in 0..<8 { sum = sum & 1 == 1 ? (sum >> 1) ^ 0xEDB8_8320 : sum >> 1 }
    }
    return ~sum
  }
}
