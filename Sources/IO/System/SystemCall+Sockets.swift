import CLinux
import Glibc

extension SystemCall {
  static func socket(family: Int32) throws(SystemError) -> Descriptor {
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    return Descriptor(try call("socket") { Glibc.socket(family, type, 0) })
  }

  static func setOption(_ descriptor: Int32, level: Int32, name: Int32, to value: Int32) throws(SystemError) {
    var value = value
    _ = try call("setsockopt") {
      unsafe setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }
  }

  /// The value of an integer option of SOL_SOCKET.
  static func option(_ descriptor: Int32, _ name: Int32) throws(SystemError) -> Int32 {
    var value: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    _ = try call("getsockopt") { unsafe getsockopt(descriptor, SOL_SOCKET, name, &value, &length) }
    return value
  }

  static func peerCredentials(of descriptor: Int32) throws(SystemError) -> clinux_credentials {
    var credentials = clinux_credentials()
    var length = socklen_t(MemoryLayout<clinux_credentials>.size)
    _ = try call("getsockopt") { unsafe getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) }
    return credentials
  }

  /// The supplementary groups of a Unix socket's peer.
  static func peerGroups(of descriptor: Int32) throws(SystemError) -> [gid_t] {
    var groups = [gid_t](repeating: 0, count: 32)
    while true {
      var length = socklen_t(groups.count * MemoryLayout<gid_t>.size)
      do throws(SystemError) {
        _ = try call("getsockopt") { unsafe getsockopt(descriptor, SOL_SOCKET, SO_PEERGROUPS, &groups, &length) }
        return Array(groups.prefix(Int(length) / MemoryLayout<gid_t>.size))
      } catch {
        if error.code != ERANGE { throw error }
        // There are more; the kernel says how many.
        groups = [gid_t](repeating: 0, count: Int(length) / MemoryLayout<gid_t>.size)
      }
    }
  }

  /// Makes the coming `close` reset the connection instead of ending it (SO_LINGER, zero seconds).
  static func resetOnClose(_ descriptor: Int32) {
    var value = linger(l_onoff: 1, l_linger: 0)
    _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
  }

  static func bind(_ descriptor: Int32, to address: SocketAddress) throws(SystemError) {
    _ = try call("bind") { unsafe address.withSockAddr { unsafe Glibc.bind(descriptor, $0, $1) } }
  }

  static func connect(_ descriptor: Int32, to address: SocketAddress) throws(SystemError) {
    _ = try call("connect") { unsafe address.withSockAddr { unsafe Glibc.connect(descriptor, $0, $1) } }
  }

  static func listen(_ descriptor: Int32, backlog: Int32) throws(SystemError) {
    _ = try call("listen") { Glibc.listen(descriptor, backlog) }
  }

  static func localAddress(of descriptor: Int32) throws(SystemError) -> SocketAddress {
    try unsafe address("getsockname") { unsafe getsockname(descriptor, $0, $1) }
  }

  static func peerAddress(of descriptor: Int32) throws(SystemError) -> SocketAddress {
    try unsafe address("getpeername") { unsafe getpeername(descriptor, $0, $1) }
  }

  private static func address(
    _ name: String, _ get: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
  ) throws(SystemError) -> SocketAddress {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    _ = try call(name) {
      unsafe withUnsafeMutablePointer(to: &storage) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe get($0, &length) }
      }
    }
    return SocketAddress(storage, length: length)
  }

  /// The next connection waiting on a listener, non-blocking; nil when none waits.
  static func accept(_ listener: Int32) throws(SystemError) -> Descriptor? {
    let flags = Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    guard let number = try callUnlessBlocked("accept4", { accept4(listener, nil, nil, flags) }) else { return nil }
    return Descriptor(number)
  }

  /// Bytes read, 0 at the end of the stream, nil when it would block.
  static func receive(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int? {
    try callUnlessBlocked("recv") { unsafe recv(descriptor, buffer.baseAddress, buffer.count, 0) }
  }

  /// The next byte to be read, which stays there; nil when it would block. Throws at the end of the stream.
  static func peek(_ descriptor: Int32) throws(SystemError) -> UInt8? {
    var byte: UInt8 = 0
    let count = try callUnlessBlocked("recv") { unsafe recv(descriptor, &byte, 1, Int32(MSG_PEEK)) }
    if count == 0 { throw SystemError("recv", ECONNRESET) }
    return count.map { _ in byte }
  }

  /// The bytes that are there to be read, as many as fit, which stay there: their number, 0 at the end of the stream,
  /// nil when it would block.
  static func peek(_ descriptor: Int32, into buffer: inout [UInt8]) throws(SystemError) -> Int? {
    let size = buffer.count
    return try callUnlessBlocked("recv") { unsafe recv(descriptor, &buffer, size, Int32(MSG_PEEK)) }
  }

  /// Takes so many bytes that have been seen, and are there, for read (MSG_TRUNC; tcp(7)).
  static func skip(_ descriptor: Int32, _ count: Int) throws(SystemError) {
    _ = try callUnlessBlocked("recv") { recv(descriptor, nil, count, Int32(MSG_TRUNC)) }
  }

  /// Bytes written, nil when it would block.
  static func send(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) throws(SystemError) -> Int? {
    try callUnlessBlocked("send") {
      unsafe Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
    }
  }

  /// Sends one datagram to a Unix socket, without waiting for room.
  static func send(_ bytes: [UInt8], to address: SocketAddress) throws(SystemError) {
    let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let socket = Descriptor(try call("socket") { Glibc.socket(AF_UNIX, type, 0) })
    let number = socket.number
    _ = try call("sendto") {
      unsafe address.withSockAddr { unsafe sendto(number, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0, $1) }
    }
    _ = consume socket
  }

  static func endOutput(_ descriptor: Int32) { _ = shutdown(descriptor, Int32(SHUT_WR)) }
}
