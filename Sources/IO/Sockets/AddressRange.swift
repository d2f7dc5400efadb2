/// An IP address, or all that begin with the same bits: `10.0.0.1`, `10.0.0.0/8`, `fd00::/8`.
package struct AddressRange: Sendable, Equatable, CustomStringConvertible {
  package let description: String
  private let ip: [UInt8]
  private let bits: Int

  /// nil if the text is no such thing, or has bits set behind the prefix: those would be another range, or a mistake.
  /// nil also for IPv4 addresses as IPv6 writes them (`::ffff:10.0.0.1`), which no peer is ever compared as.
  package init?(_ text: String) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let ip = SocketAddress.ip(String(parts[0])), !Self.isMapped(ip) else { return nil }
    var bits = 8 * ip.count
    if parts.count == 2 {
      guard let number = Int(parts[1]), parts[1].utf8.allSatisfy({ 0x30...0x39 ~= $0 }), number <= bits else {
        return nil
      }
      bits = number
    }
    (self.ip, self.bits, description) = (ip, bits, text)
    for index in bits..<(8 * ip.count) where Self.bit(index, of: ip) { return nil }
  }

  private static func isMapped(_ ip: [UInt8]) -> Bool {
    ip.count == 16 && ip.prefix(10).allSatisfy { $0 == 0 } && ip[10] == 0xFF && ip[11] == 0xFF
  }

  private static func bit(_ index: Int, of ip: [UInt8]) -> Bool {
    let mask: UInt8 = 0x80 >> UInt8(index % 8)
    return ip[index / 8] & mask != 0
  }

  /// An IPv4 address is the same whether or not an IPv6 socket has it (RFC 4291 §2.5.5.2).
  package func contains(_ address: SocketAddress) -> Bool {
    guard let other = address.ip, other.count == ip.count else { return false }
    return (0..<bits).allSatisfy { Self.bit($0, of: ip) == Self.bit($0, of: other) }
  }
}
