/// The hosts that are this machine itself, as they are written in URLs.
package enum Loopback {
  /// True if the URL's host is one of them.
  package static func isHost(of url: String) -> Bool { Transfer.isLoopback(url) }

  /// True for `localhost`, `[::1]` and the addresses of 127.0.0.0/8. Exact: `127.0.0.1.example.com` is somebody else's.
  package static func contains(_ host: some StringProtocol) -> Bool {
    if host == "localhost" || host == "[::1]" { return true }
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4, parts[0] == "127" else { return false }
    return parts.allSatisfy { part in part.utf8.allSatisfy { (0x30...0x39).contains($0) } && UInt8(part) != nil }
  }
}
