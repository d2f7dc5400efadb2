import Glibc

/// Unix sockets with a path (unix(7)).
extension SocketAddress {
  /// How many bytes fit into `sun_path` before its closing NUL.
  private static let longestPath = 107

  /// Reads `unix:/path` or `unix:/path?mode=0660`; so a `?` cannot be part of the path.
  init(unix text: String) throws(AddressError) {
    let parts = text.dropFirst("unix:".utf8.count).split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    let path = Array(parts[0].utf8)
    if path.first == UInt8(ascii: "@") {
      throw AddressError(
        text,
        "expected unix:/path: no file's permissions guard an abstract name, "
          + "so anyone in the network namespace may connect to it or take it")
    }
    guard path.starts(with: "/".utf8), !path.starts(with: "//".utf8) else {
      throw AddressError(text, "expected unix:/path, with an absolute path and one slash before it")
    }
    if path.contains(0) { throw AddressError(text, "the path holds a NUL") }
    if path.count > Self.longestPath {
      throw AddressError(
        text, "the path is \(path.count) bytes long; that of a Unix socket has at most \(Self.longestPath)")
    }
    let mode = parts.count == 1 ? 0o660 : Self.mode(parts[1])
    guard let mode else {
      throw AddressError(text, "expected nothing behind ? but mode= and octal permissions of 3 or 4 digits, like 0660")
    }
    self.init(path: path, mode: mode)
  }

  /// Where datagrams are sent to, as `NOTIFY_SOCKET` names it: a path, or `@` and an abstract name (unix(7)); nil for
  /// anything else.
  init?(datagramSocket name: String) {
    var bytes = Array(name.utf8)
    guard bytes.count > 1, bytes.count <= Self.longestPath, let first = bytes.first else { return nil }
    if first == UInt8(ascii: "/") {
      self.init(path: bytes, mode: 0)
    } else if first == UInt8(ascii: "@") {
      bytes[0] = 0
      let address = SocketAddress(path: bytes, mode: 0)
      // An abstract name is as long as it is, without a NUL behind it.
      self.init(address.storage, length: address.length - 1)
    } else {
      return nil
    }
  }

  private init(path: [UInt8], mode: mode_t) {
    var storage = sockaddr_storage()
    storage.ss_family = sa_family_t(AF_UNIX)
    let start = MemoryLayout<sa_family_t>.size
    unsafe withUnsafeMutableBytes(of: &storage) { bytes in
      for (offset, byte) in path.enumerated() { unsafe bytes[start + offset] = byte }
    }
    self.init(storage, length: socklen_t(start + path.count + 1), mode: mode)
  }

  private static func mode(_ option: Substring) -> mode_t? {
    guard option.utf8.starts(with: "mode=".utf8) else { return nil }
    let digits = option.dropFirst("mode=".utf8.count).utf8
    guard (3...4).contains(digits.count), digits.allSatisfy({ (0x30...0x37).contains($0) }) else { return nil }
    let mode = digits.reduce(mode_t(0)) { $0 << 3 | mode_t($1 - 0x30) }
    return mode <= 0o777 ? mode : nil
  }

  package var isUnix: Bool { family == AF_UNIX }

  /// The path of a Unix socket; nil for TCP, and for an abstract or unnamed socket.
  package var path: String? {
    guard isUnix else { return nil }
    let path = unsafe withUnsafeBytes(of: storage) { bytes in
      unsafe Array(bytes[MemoryLayout<sa_family_t>.size..<Int(length)].prefix { $0 != 0 })
    }
    return path.isEmpty ? nil : String(decoding: path, as: UTF8.self)
  }
}
