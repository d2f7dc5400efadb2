import Testing

@testable import Sockets

@Suite struct SocketAddressTests {
  @Test(
    "Addresses are read and printed alike",
    arguments: [
      ("127.0.0.1:8080", true), ("0.0.0.0:0", false), ("[::1]:65535", true), ("[::]:1", false), ("127.9.9.9:80", true),
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
    ])
  func unreadable(_ text: String, _ expectation: String) {
    let error = #expect(throws: AddressError.self) { try SocketAddress(parsing: text) }
    #expect(error?.description.contains(expectation) == true, "\(error?.description ?? "")")
    #expect(error?.description.contains(text) == true)
  }

  @Test("A port in use is refused, though loops share ports among themselves")
  func portInUse() throws {
    let listener = try Listener(SocketAddress(parsing: "127.0.0.1:0"))
    let address = listener.address
    #expect(address.port != 0)
    let sibling = try listener.sibling()
    #expect(sibling.address.port == address.port)
    #expect(throws: SystemError.self) { try Listener(address) }
  }
}
