import Glibc

/// Numeric IP addresses as bytes: four of IPv4, sixteen of IPv6.
extension SocketAddress {
  init(ip: [UInt8], port: UInt16) {
    var storage = sockaddr_storage()
    let isIPv4 = ip.count == 4
    storage.ss_family = sa_family_t(isIPv4 ? AF_INET : AF_INET6)
    unsafe withUnsafeMutableBytes(of: &storage) { bytes in
      unsafe (bytes[2], bytes[3]) = (UInt8(port >> 8), UInt8(port & 0xFF))
      // An IPv6 address stands behind the flow's label.
      for (offset, byte) in ip.enumerated() { unsafe bytes[(isIPv4 ? 4 : 8) + offset] = byte }
    }
    let length = isIPv4 ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size
    self.init(storage, length: socklen_t(length))
  }

  /// nil for a Unix socket. One of IPv4 that an IPv6 socket has is one of IPv4.
  var ip: [UInt8]? {
    unsafe withUnsafeBytes(of: storage) { bytes in
      if family == AF_INET { return unsafe Array(bytes[4..<8]) }
      if family != AF_INET6 { return nil }
      let ip = unsafe Array(bytes[8..<24])
      return ip.starts(with: [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]) ? Array(ip[12...]) : ip
    }
  }

  /// Reads a numeric address as inet_pton(3) does, without asking any resolver.
  static func ip(_ text: String) -> [UInt8]? {
    for (family, count) in [(AF_INET, 4), (AF_INET6, 16)] {
      var bytes = [UInt8](repeating: 0, count: count)
      if unsafe inet_pton(family, text, &bytes) == 1 { return bytes }
    }
    return nil
  }
}
