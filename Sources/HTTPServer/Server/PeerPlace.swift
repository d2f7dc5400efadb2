import IO

/// Where the other end of a connection is, in words: an address or a Unix user.
final class PeerPlace: Sendable {
  /// As exactly as it is known: with the port.
  let name: String
  /// As far as one place can be told from another.
  let network: String

  init(_ address: SocketAddress) {
    name = address.description
    network = address.network
  }

  /// Where a connection is, by the credentials of a Unix socket's peer, or else by what the socket says of its peer.
  init(_ peer: PeerCredentials?, _ address: @autoclosure () -> SocketAddress?) {
    if let peer {
      name = "user \(peer.user)"
      network = name
    } else {
      let address = address()
      name = address?.description ?? "gone"
      network = address?.network ?? "unknown"
    }
  }
}
