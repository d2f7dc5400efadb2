import Glibc

/// A TCP socket of this machine's loopback address, on the bare system calls, so that tests do not see the broker's
/// sockets through code that both share. Every wait of it ends after `timeout` seconds; with 0, none does.
package final class RawSocket: Sendable {
  package struct Failure: Error, CustomStringConvertible {
    package let description: String
    fileprivate(set) var isTimeout = false

    init(description: String) { self.description = description }

    fileprivate init(_ call: String, _ code: Int32) {
      description = "\(call): errno \(code)"
      isTimeout = code == EAGAIN
    }
  }

  let descriptor: Int32

  /// Takes over a descriptor, or makes one.
  init(_ descriptor: Int32 = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0), timeout: Int) {
    self.descriptor = descriptor
    var limit = timeval(tv_sec: timeout, tv_usec: 0)
    let size = socklen_t(MemoryLayout<timeval>.size)
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
  }

  deinit {
    close(descriptor)
  }

  private static func loopback(port: UInt16 = 0, host: UInt8 = 1) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = (0x7F00_0000 | UInt32(host)).bigEndian
    return address
  }

  func connect(to port: UInt16) throws {
    var address = Self.loopback(port: port)
    let status = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    if status != 0 { throw Failure("connect", errno) }
  }

  /// Listens on this port of 127.0.0.`host`, or on one that was free if that is 0, and returns it.
  func listen(on port: UInt16 = 0, of host: UInt8 = 1, backlog: Int32) throws -> UInt16 {
    var address = Self.loopback(port: port, host: host)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let status = unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe bind(descriptor, $0, length) | Glibc.listen(descriptor, backlog)
          | getsockname(descriptor, $0, &length)
      }
    }
    if status != 0 { throw Failure("listen", errno) }
    return UInt16(bigEndian: address.sin_port)
  }

  func send(_ bytes: [UInt8]) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes {
        unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw Failure("send", errno) }
      rest = rest.dropFirst(count)
    }
  }

  /// What has come, once something has; nothing at the end of the stream.
  func receive() throws -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: 65536)
    let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
    guard count >= 0 else { throw Failure("recv", errno) }
    return Array(buffer[..<count])
  }

  /// Makes the close that follows a reset.
  func resetOnClose() {
    var now = linger(l_onoff: 1, l_linger: 0)
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
  }
}

/// A message of HTTP/1.1 with a Content-Length, or without a body.
struct RawMessage {
  let head: String
  let body: String
  /// How many bytes it takes.
  let count: Int

  /// The first one of `bytes`; nil where there is no whole one.
  init?(firstOf bytes: [UInt8], isBodyless: Bool = false) {
    let blank = Array("\r\n\r\n".utf8)
    guard let end = bytes.indices.first(where: { bytes[$0...].starts(with: blank) }) else { return nil }
    head = String(decoding: bytes[..<end], as: UTF8.self)
    let field = head.lowercased().split(separator: "\r\n").first { $0.hasPrefix("content-length: ") }
    let length = isBodyless ? 0 : field.flatMap { Int($0.dropFirst("content-length: ".count)) } ?? 0
    let start = end + blank.count
    guard bytes.count >= start + length else { return nil }
    body = String(decoding: bytes[start..<start + length], as: UTF8.self)
    count = start + length
  }
}
