import Glibc

/// Blocking TCP sockets on 127.0.0.1, for tests that play a peer by hand. Whoever makes one closes it.
enum LoopbackSocket {
  /// A socket that listens on a free port, and that port.
  static func listening(backlog: Int32) throws -> (descriptor: Int32, port: UInt16) {
    let descriptor = try make()
    var address = address(port: 0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let status = unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe bind(descriptor, $0, length) | listen(descriptor, backlog) | getsockname(descriptor, $0, &length)
      }
    }
    try check(status, "listen", descriptor)
    return (descriptor, UInt16(bigEndian: address.sin_port))
  }

  /// A socket that is connected to `port`; no read and no write on it takes longer than `timeout` seconds.
  static func connected(to port: UInt16, timeout: Int) throws -> Int32 {
    let descriptor = try make()
    limitWaits(of: descriptor, to: timeout)
    var address = address(port: port)
    let status = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    try check(status, "connect", descriptor)
    return descriptor
  }

  /// Lets no read and no write take longer than so many seconds.
  static func limitWaits(of descriptor: Int32, to seconds: Int) {
    var limit = timeval(tv_sec: seconds, tv_usec: 0)
    let size = socklen_t(MemoryLayout<timeval>.size)
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
  }

  private static func make() throws -> Int32 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    if descriptor < 0 { throw RawClient.Failure(description: "socket: errno \(errno)") }
    return descriptor
  }

  private static func check(_ status: Int32, _ call: String, _ descriptor: Int32) throws {
    if status == 0 { return }
    let code = errno
    close(descriptor)
    throw RawClient.Failure(description: "\(call): errno \(code)")
  }

  private static func address(port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return address
  }
}
