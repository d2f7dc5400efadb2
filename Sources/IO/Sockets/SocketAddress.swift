import Glibc

/// Where a server listens or is reached: a numeric host and a port, or the path of a Unix socket.
package struct SocketAddress: Sendable {
  let storage: sockaddr_storage
  let length: socklen_t
  /// The permissions that the file of a Unix socket is given.
  let mode: mode_t

  init(_ storage: sockaddr_storage, length: socklen_t, mode: mode_t = 0o660) {
    self.storage = storage
    self.length = length
    self.mode = mode
  }

  /// Reads `host:port`, `[v6]:port`, `unix:/path` or `unix:/path?mode=0660`; a name is resolved, which may block.
  /// Throws what was expected, in words for a person.
  package init(parsing text: String) throws(AddressError) {
    if text.utf8.starts(with: "unix:".utf8) {
      self = try SocketAddress(unix: text)
      return
    }
    let host: Substring
    let port: Substring
    if text.first == "[" {
      guard let end = text.firstIndex(of: "]"), text[end...].dropFirst().first == ":" else {
        throw AddressError(text, "expected [address]:port")
      }
      host = text[text.index(after: text.startIndex)..<end]
      port = text[end...].dropFirst(2)
    } else {
      let parts = text.split(separator: ":", omittingEmptySubsequences: false)
      guard parts.count == 2 else { throw AddressError(text, "expected host:port, or [address]:port for IPv6") }
      (host, port) = (parts[0], parts[1])
    }
    guard !host.isEmpty else { throw AddressError(text, "the host is empty; 0.0.0.0 and [::] mean every interface") }
    guard port.allSatisfy(\.isASCII), port.allSatisfy(\.isNumber), let number = UInt16(port) else {
      throw AddressError(text, "expected a port from 0 to 65535")
    }
    self = try Self.lookUp(String(host), port: number, forListening: true, in: text)[0]
  }

  /// The addresses of a host, one at least, in the order in which to try them (RFC 6724). May block for as long as the
  /// resolver likes.
  package static func all(of host: String, port: UInt16) throws(AddressError) -> [SocketAddress] {
    try lookUp(host, port: port, forListening: false, in: host)
  }

  private static func lookUp(
    _ host: String, port: UInt16, forListening: Bool, in text: String
  ) throws(AddressError) -> [SocketAddress] {
    do throws(HostLookup.Failure) {
      return try HostLookup.resolve(host, port: port, forListening: forListening)
    } catch {
      throw AddressError(text, "no address for the host (\(error.reason))")
    }
  }

  /// Reads an entry that the resolver has found; nil for one without an address.
  init?(_ entry: addrinfo) {
    guard let address = unsafe entry.ai_addr else { return nil }
    var storage = sockaddr_storage()
    unsafe withUnsafeMutableBytes(of: &storage) {
      unsafe $0.copyMemory(from: UnsafeRawBufferPointer(start: address, count: Int(entry.ai_addrlen)))
    }
    self.init(storage, length: unsafe entry.ai_addrlen)
  }

  package var family: Int32 { Int32(storage.ss_family) }

  /// True for 127.0.0.0/8, ::1 and Unix sockets, which cannot be reached from another machine.
  package var isLoopback: Bool {
    if isUnix { return true }
    guard let ip else { return false }
    return ip.count == 4 ? ip[0] == 127 : ip == [UInt8](repeating: 0, count: 15) + [1]
  }

  /// 0 for a Unix socket.
  package var port: UInt16 {
    if isUnix { return 0 }
    // sin_port and sin6_port lie at the same place.
    return unsafe withUnsafeBytes(of: storage) { unsafe UInt16($0[2]) << 8 | UInt16($0[3]) }
  }

  /// Whether nobody can listen on both: they are the same, or one is every interface's. Port 0 is a free one each time.
  package func overlaps(_ other: SocketAddress) -> Bool {
    if isUnix || other.isUnix { return isUnix && other.isUnix && path == other.path }
    guard port == other.port, port != 0, let ip, let others = other.ip else { return false }
    if ip == others { return true }
    return ip.count == others.count && (ip.allSatisfy { $0 == 0 } || others.allSatisfy { $0 == 0 })
  }

  func withSockAddr<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    unsafe withUnsafePointer(to: storage) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0, length) }
    }
  }
}

extension SocketAddress: Equatable {
  /// The permissions of a socket's file are no part of where it is.
  package static func == (left: SocketAddress, right: SocketAddress) -> Bool { left.bytes == right.bytes }

  private var bytes: [UInt8] { unsafe withUnsafeBytes(of: storage) { unsafe Array($0.prefix(Int(length))) } }
}

extension SocketAddress: CustomStringConvertible {
  /// `host:port` or `unix:/path`, as `init(parsing:)` reads it.
  package var description: String {
    if isUnix { return "unix:\(path ?? "?")" }
    return family == AF_INET6 ? "[\(host)]:\(port)" : "\(host):\(port)"
  }

  /// Where the other end of a connected socket is; nil if that is not known any more.
  package init?(peerOf descriptor: Int32) {
    guard let address = try? SystemCall.peerAddress(of: descriptor) else { return nil }
    self = address
  }

  /// The host, as far as one can be told from another: of an IPv6 address the first half, for the other one is the
  /// host's own choice (RFC 4291 §2.5.4).
  package var network: String {
    guard let ip else { return host }
    if ip.count == 4 { return SocketAddress(ip: ip, port: 0).host }
    return SocketAddress(ip: ip.prefix(8) + [UInt8](repeating: 0, count: 8), port: 0).host + "/64"
  }

  /// The numeric host, without brackets.
  var host: String {
    var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    let status = unsafe withSockAddr {
      unsafe getnameinfo($0, $1, &host, socklen_t(host.count), nil, 0, NI_NUMERICHOST)
    }
    let bytes = host.prefix { $0 != 0 }.map(UInt8.init(bitPattern:))
    return status == 0 ? String(decoding: bytes, as: UTF8.self) : "?"
  }
}

/// An address that cannot be used: the text, and what was expected.
package struct AddressError: Error, CustomStringConvertible {
  package let text: String
  package let expectation: String

  init(_ text: String, _ expectation: String) {
    self.text = text
    self.expectation = expectation
  }

  package var description: String { "'\(text)': \(expectation)" }
}
