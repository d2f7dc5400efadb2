import Testing

@testable import IO

/// The PROXY protocol's header, by its specification.
@Suite struct ProxyHeaderTests {
  private static let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10]
  private static let addresses: [UInt8] = [10, 0, 0, 7, 10, 0, 0, 1, 0x12, 0x34, 0, 80]

  private static func binary(_ command: UInt8, _ family: UInt8, _ rest: [UInt8]) -> [UInt8] {
    signature + [command, family, UInt8(rest.count >> 8), UInt8(rest.count & 0xFF)] + rest
  }

  private static let ipv6 = [UInt8](repeating: 0, count: 15) + [1]

  static let headers: [([UInt8], String?)] = [
    (Array("PROXY TCP4 10.0.0.7 10.0.0.1 56324 443\r\n".utf8), "10.0.0.7:56324"),
    (Array("PROXY TCP6 2001:db8::7 ::1 1 65535\r\n".utf8), "[2001:db8::7]:1"),
    (Array("PROXY UNKNOWN\r\n".utf8), nil),
    (Array("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".utf8), nil),
    (binary(0x21, 0x11, addresses), "10.0.0.7:4660"),
    (binary(0x21, 0x11, addresses + [4, 0, 2, 7, 7]), "10.0.0.7:4660"),
    (binary(0x21, 0x21, ipv6 + ipv6 + [0, 9, 0, 80]), "[::1]:9"),
    (binary(0x20, 0x00, []), nil), (binary(0x20, 0x11, addresses), nil), (binary(0x21, 0x00, []), nil),
    (binary(0x21, 0x31, [UInt8](repeating: 0, count: 216)), nil),
  ]

  @Test(
    "A header tells for whom the proxy speaks, ends where it says, and is part of one before that", arguments: headers)
  func whole(_ bytes: [UInt8], _ source: String?) throws {
    let header = ProxyHeader(length: bytes.count, source: try source.map { try SocketAddress(parsing: $0) })
    #expect(ProxyHeader.read(bytes) == .whole(header))
    #expect(ProxyHeader.read(bytes + Array("GET /".utf8)) == .whole(header))
    for count in 0..<bytes.count { #expect(ProxyHeader.read(Array(bytes[..<count])) == .partial, "\(count)") }
  }

  @Test(
    "What is no header, or a wrong one, is malformed",
    arguments: [
      "GET / HTTP/1.1\r\n", "PROXY  TCP4 10.0.0.7 10.0.0.1 1 2\r\n", "PROXY TCP4 10.0.0.7 10.0.0.1 1 2\n",
      "PROXY TCP4 10.0.0.7 10.0.0.1 1\r\n", "PROXY TCP4 10.0.0.7 10.0.0.1 1 65536\r\n", "PROXY TCP4 a b 1 2\r\n",
      "PROXY TCP4 ::1 ::1 1 2\r\n", "PROXY TCP6 10.0.0.7 10.0.0.1 1 2\r\n", "PROXY TCP4 10.0.0.7 10.0.0.1 -1 2\r\n",
      "PROXY TCP5 10.0.0.7 10.0.0.1 1 2\r\n", "PROXY\r\n", "PROXY \(String(repeating: "x", count: 200))",
      "\u{16}\u{3}\u{1}", "\r\n\r\nX",
    ].map { Array($0.utf8) } + [
      binary(0x11, 0x11, addresses), binary(0x22, 0x11, addresses), binary(0x21, 0x11, [10, 0, 0, 7]),
      binary(0x21, 0x21, addresses), signature + [0x21, 0x11, 0xFF, 0xFF],
    ])
  func malformed(_ bytes: [UInt8]) { #expect(ProxyHeader.read(bytes) == .malformed) }
}
