import Glibc
import Testing

@testable import IO

@Suite struct SocketAddressTests {
  private static let longestPath = "/" + String(repeating: "a", count: 106)

  @Test(
    "An address is printed as it was read",
    arguments: [
      ("127.0.0.1:8080", true), ("0.0.0.0:0", false), ("[::1]:65535", true), ("[::]:1", false),
      ("[::ffff:127.0.0.1]:80", true), ("[::ffff:10.0.0.1]:80", false), ("127.9.9.9:80", true),
      ("unix:/run/broker/http.sock", true), ("unix:/a b:1,ü", true), ("unix:\(longestPath)", true),
    ])
  func readable(_ text: String, _ isLoopback: Bool) throws {
    let address = try SocketAddress(parsing: text)
    #expect(address.description == text)
    #expect(address.isLoopback == isLoopback)
  }

  @Test(
    "A wrong address says what was expected",
    arguments: [
      ("8080", "expected host:port"), (":8080", "the host is empty"), ("a:b:c", "[address]:port"),
      ("127.0.0.1:", "a port from 0 to 65535"), ("127.0.0.1:65536", "a port from 0 to 65535"),
      ("127.0.0.1:-1", "a port from 0 to 65535"), ("[::1]", "[address]:port"),
      ("127.0.0.1:٣", "a port from 0 to 65535"),
      ("no-such-host.invalid:80", "no address for the host"),
      ("unix:", "an absolute path"), ("unix:run/a.sock", "an absolute path"), ("unix:?mode=0660", "an absolute path"),
      ("unix://run/a.sock", "one slash"), ("unix:@broker", "anyone in the network namespace"),
      ("unix:/a\u{0}b", "a NUL"), ("unix:\(longestPath)a", "is 108 bytes long; that of a Unix socket has at most 107"),
      ("unix:/\(String(repeating: "ü", count: 54))", "is 109 bytes long"),
      ("unix:/a?", "octal permissions"), ("unix:/a?mode=", "octal permissions"),
      ("unix:/a?mode=66", "octal permissions"),
      ("unix:/a?mode=0680", "octal permissions"), ("unix:/a?mode=1777", "octal permissions"),
      ("unix:/a?mode=00660", "octal permissions"), ("unix:/a?mode=0o66", "octal permissions"),
      ("unix:/a?mode=٠٦٦٠", "octal permissions"), ("unix:/a?Mode=0660", "octal permissions"),
      ("unix:/a?mode=0660&backlog=1", "octal permissions"), ("unix:/a?b?mode=0660", "octal permissions"),
    ])
  func unreadable(_ text: String, _ expectation: String) {
    let error = #expect(throws: AddressError.self) { try SocketAddress(parsing: text) }
    #expect(error?.description.contains(expectation) == true, "\(error?.description ?? "")")
    #expect(error?.description.contains(text) == true)
  }

  @Test(
    "The permissions of a Unix socket are octal",
    arguments: [
      ("unix:/a", 0o660), ("unix:/a?mode=0660", 0o660), ("unix:/a?mode=600", 0o600), ("unix:/a?mode=0777", 0o777),
      ("unix:/a?mode=000", 0),
    ] as [(String, mode_t)])
  func permissions(_ text: String, _ mode: mode_t) throws {
    let address = try SocketAddress(parsing: text)
    #expect(address.mode == mode)
    #expect(address.description == "unix:/a")
    #expect(address.path == "/a")
    #expect(address.port == 0)
  }

  @Test(
    "Hosts are told from each other by their address, of IPv6 by its first half",
    arguments: [
      ("10.0.0.1:80", "10.0.0.1"), ("[2001:db8:1:2:3:4:5:6]:80", "2001:db8:1:2::/64"), ("[::1]:80", "::/64"),
      ("[::ffff:10.0.0.1]:80", "10.0.0.1"),
    ])
  func network(_ text: String, _ expected: String) throws {
    #expect(try SocketAddress(parsing: text).network == expected)
  }

  @Test("A port in use is refused, though loops share ports among themselves")
  func portInUse() throws {
    let listener = try Listener(SocketAddress(parsing: "127.0.0.1:0"))
    let address = listener.address
    #expect(address.port != 0)
    let sibling = try listener.sibling()
    #expect(sibling !== listener && sibling.address.port == address.port)
    #expect(throws: SystemError.self) { try Listener(address) }
  }

  @Test("A name has the addresses that the system's resolver knows, each once")
  func lookupOfName() async throws {
    let loopback = try await HostLookup.addresses(of: "localhost")
    #expect(
      !loopback.isEmpty && Set(loopback).isSubset(of: ["127.0.0.1", "::1"]) && Set(loopback).count == loopback.count)
  }

  @Test("A numeric host is its own address")
  func lookupOfAddress() async throws {
    #expect(try await HostLookup.addresses(of: "2001:DB8::1") == ["2001:db8::1"])
  }

  @Test("A name without an address fails with the resolver's reason")
  func lookupOfMissingName() async throws {
    let failure = await #expect(throws: HostLookup.Failure.self) { try await HostLookup.addresses(of: "a.invalid") }
    #expect(failure?.reason.isEmpty == false)
  }

  @Test(
    "Two addresses overlap where nobody can listen on both",
    arguments: [
      ("127.0.0.1:80", "127.0.0.1:80", true), ("127.0.0.1:80", "127.0.0.1:81", false),
      ("0.0.0.0:80", "10.0.0.1:80", true),
      ("127.0.0.1:0", "127.0.0.1:0", false), ("[::]:80", "[::1]:80", true), ("127.0.0.1:80", "127.0.0.2:80", false),
      ("unix:/a?mode=0600", "unix:/a", true), ("unix:/a", "unix:/b", false), ("unix:/a", "127.0.0.1:80", false),
    ])
  func overlap(_ one: String, _ other: String, _ overlaps: Bool) throws {
    let (one, other) = (try SocketAddress(parsing: one), try SocketAddress(parsing: other))
    #expect(one.overlaps(other) == overlaps && other.overlaps(one) == overlaps)
  }
}
