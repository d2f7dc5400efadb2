import Testing

@testable import IO

@Suite struct AddressRangeTests {
  @Test(
    "A range has the addresses that begin with its bits, whichever socket has them",
    arguments: [
      ("10.0.0.0/8", "10.255.0.1:1", true), ("10.0.0.0/8", "11.0.0.1:1", false), ("10.0.0.7", "10.0.0.7:1", true),
      ("10.0.0.7", "10.0.0.6:1", false), ("0.0.0.0/0", "1.2.3.4:1", true), ("0.0.0.0/0", "[::1]:1", false),
      ("192.168.0.0/23", "192.168.1.9:1", true), ("192.168.0.0/23", "192.168.2.9:1", false),
      ("10.0.0.0/8", "[::ffff:10.1.2.3]:1", true), ("fd00::/8", "[fd12::1]:1", true),
      ("fd00::/8", "[fe80::1]:1", false),
      ("::1", "[::1]:1", true), ("::/0", "[2001:db8::1]:1", true), ("::/0", "10.0.0.1:1", false),
      ("127.0.0.1", "unix:/a", false),
    ])
  func contains(_ range: String, _ address: String, _ expected: Bool) throws {
    let range = try #require(AddressRange(range))
    #expect(range.contains(try SocketAddress(parsing: address)) == expected)
  }

  @Test(
    "What is no range is none",
    arguments: [
      "", "10.0.0", "a", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.1/8", "::1/64", "/8",
      "::ffff:10.0.0.1", "::ffff:10.0.0.0/104",
    ])
  func none(_ text: String) { #expect(AddressRange(text) == nil) }
}
