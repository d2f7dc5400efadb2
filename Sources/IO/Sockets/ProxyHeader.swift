import Glibc

/// The header of HAProxy's PROXY protocol, versions 1 and 2: what a proxy sends ahead of a connection's own bytes to
/// say for whom it has made it (proxy-protocol.txt, sections 2.1 and 2.2).
package struct ProxyHeader: Equatable {
  package enum Reading: Equatable {
    /// All bytes so far are part of one, and more are to come.
    case partial
    case whole(ProxyHeader)
    case malformed
  }

  /// In bytes.
  let length: Int
  /// Whom the proxy speaks for; nil where it speaks for itself, or does not know.
  package let source: SocketAddress?

  /// Version 2 may carry more behind the addresses than anybody needs, and version 1 has one line.
  static let longest = 2048
  private static let longestLine = 107
  private static let line = Array("PROXY ".utf8)
  private static let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10]

  /// Reads the header that `bytes` begin with.
  static func read(_ bytes: [UInt8]) -> Reading {
    if bytes.starts(with: line.prefix(bytes.count)) { return readLine(bytes) }
    if bytes.starts(with: signature.prefix(bytes.count)) { return readBinary(bytes) }
    return .malformed
  }

  // MARK: Version 1

  private static func readLine(_ bytes: [UInt8]) -> Reading {
    let limited = bytes.prefix(longestLine)
    guard let end = limited.firstIndex(of: 10) else { return bytes.count < longestLine ? .partial : .malformed }
    guard end > 0, bytes[end - 1] == 13 else { return .malformed }
    let words = String(decoding: bytes[..<(end - 1)], as: UTF8.self)
      .split(separator: " ", omittingEmptySubsequences: false)
    if words.count >= 2, words[1] == "UNKNOWN" { return .whole(ProxyHeader(length: end + 1, source: nil)) }
    guard words.count == 6, let family = ["TCP4": AF_INET, "TCP6": AF_INET6][words[1]],
      let source = address(words[2], family), address(words[3], family) != nil, let port = portNumber(words[4]),
      portNumber(words[5]) != nil
    else { return .malformed }
    return .whole(ProxyHeader(length: end + 1, source: SocketAddress(ip: source, port: port)))
  }

  private static func address(_ text: Substring, _ family: Int32) -> [UInt8]? {
    SocketAddress.ip(String(text)).flatMap { $0.count == (family == AF_INET ? 4 : 16) ? $0 : nil }
  }

  private static func portNumber(_ text: Substring) -> UInt16? {
    text.utf8.allSatisfy { 0x30...0x39 ~= $0 } ? UInt16(text) : nil
  }

  // MARK: Version 2

  private static func readBinary(_ bytes: [UInt8]) -> Reading {
    guard bytes.count >= 16 else { return .partial }
    let (version, command, family) = (bytes[12] >> 4, bytes[12] & 15, bytes[13])
    let length = 16 + Int(bytes[14]) << 8 + Int(bytes[15])
    guard version == 2, command <= 1, length <= longest else { return .malformed }
    guard bytes.count >= length else { return .partial }
    let addresses = Array(bytes[16..<length])
    switch (command, family) {
    // The proxy's own connection, such as a health check.
    case (0, _): return .whole(ProxyHeader(length: length, source: nil))
    case (1, 0x11): return readAddresses(addresses, 4, length)
    case (1, 0x21): return readAddresses(addresses, 16, length)
    // Neither TCP over IPv4 nor over IPv6: whoever it is has no address.
    default: return .whole(ProxyHeader(length: length, source: nil))
    }
  }

  /// The source's address, the destination's, and their ports.
  private static func readAddresses(_ bytes: [UInt8], _ size: Int, _ length: Int) -> Reading {
    guard bytes.count >= 2 * size + 4 else { return .malformed }
    let port = UInt16(bytes[2 * size]) << 8 | UInt16(bytes[2 * size + 1])
    return .whole(ProxyHeader(length: length, source: SocketAddress(ip: Array(bytes[..<size]), port: port)))
  }
}

extension Stream {
  /// What came of reading the header.
  package enum ProxyHeaderResult {
    case whole(ProxyHeader)
    case blocked(on: Readiness)
    case malformed
    case ended
  }

  /// Reads the header that is ahead of all else, TLS too, and no byte behind it. `held` has its first part until it is
  /// whole.
  package func receiveProxyHeader(_ held: inout [UInt8]) -> ProxyHeaderResult {
    var buffer = [UInt8](repeating: 0, count: ProxyHeader.longest)
    while true {
      do throws(SystemError) {
        guard let seen = try SystemCall.peek(number, into: &buffer) else { return .blocked(on: .readable) }
        if seen == 0 { return .ended }
        let reading = ProxyHeader.read(held + buffer[..<seen])
        var count = seen
        switch reading {
        case .malformed: return .malformed
        case .partial: break
        case .whole(let header): count = header.length - held.count
        }
        try SystemCall.skip(number, count)
        if case .whole(let header) = reading { return .whole(header) }
        held += buffer[..<count]
      } catch {
        return .ended
      }
    }
  }
}
