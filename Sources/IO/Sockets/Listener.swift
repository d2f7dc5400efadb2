import Glibc

/// A listening socket. On TCP each event loop has one of its own, several sharing the address through `SO_REUSEPORT`; a
/// Unix socket, and one that was inherited, is shared by all loops.
package final class Listener: Sendable {
  private let descriptor: Descriptor
  package let address: SocketAddress
  private let origin: Origin

  private enum Origin {
    case tcp
    case unix(SocketFile)
    case inherited
  }

  private static let backlog: Int32 = 4096

  package var number: Int32 { descriptor.number }

  private init(_ socket: consuming Descriptor, at address: SocketAddress, _ origin: Origin) {
    descriptor = socket
    self.address = address
    self.origin = origin
  }

  deinit { withdraw() }

  /// Binds and listens. Port 0 takes a free one, which `address` then names. The file of a Unix socket is made, in
  /// place of one that a dead process left; it is removed again when the listener closes.
  package convenience init(_ wanted: SocketAddress) throws(SystemError) {
    if let path = wanted.path {
      try self.init(unix: wanted, path: path)
    } else {
      // SO_REUSEPORT would silently share the port with another process of the same user, so a plain bind asks first.
      if wanted.port != 0 { _ = try Self.bound(to: wanted, sharing: false) }
      try self.init(tcp: wanted)
    }
  }

  private convenience init(tcp wanted: SocketAddress) throws(SystemError) {
    let socket = try Self.bound(to: wanted, sharing: true)
    try SystemCall.listen(socket.number, backlog: Self.backlog)
    let address = try SystemCall.localAddress(of: socket.number)
    self.init(socket, at: address, .tcp)
  }

  private static func bound(to wanted: SocketAddress, sharing: Bool) throws(SystemError) -> Descriptor {
    let socket = try SystemCall.socket(family: wanted.family)
    try SystemCall.setOption(socket.number, level: SOL_SOCKET, name: SO_REUSEADDR, to: 1)
    if sharing { try SystemCall.setOption(socket.number, level: SOL_SOCKET, name: SO_REUSEPORT, to: 1) }
    try SystemCall.bind(socket.number, to: wanted)
    return socket
  }

  private convenience init(unix wanted: SocketAddress, path: String) throws(SystemError) {
    let socket = try SystemCall.socket(family: wanted.family)
    let file = try SocketFile(binding: socket, to: wanted, path: path)
    self.init(socket, at: wanted, .unix(file))
    try SystemCall.listen(number, backlog: Self.backlog)
  }

  /// Takes over descriptor `number`: a listening stream socket, TCP or Unix, that came through an exec. It belongs to
  /// whoever made it, so its file is never removed.
  package convenience init(inherited number: Int32) throws(InheritanceError) {
    let address = try Self.checkInherited(number)
    self.init(Descriptor(number), at: address, .inherited)
  }

  /// The listener for another loop: this one again where it is shared.
  package func sibling() throws(SystemError) -> Listener {
    if case .tcp = origin { return try Listener(tcp: address) }
    return self
  }

  /// What a loop is to watch the socket for.
  package var interest: Readiness {
    if case .tcp = origin { return .readable }
    return [.readable, .exclusive]
  }

  /// Whether connections go on waiting, for another process, once this one has closed it.
  package var isInherited: Bool {
    if case .inherited = origin { return true }
    return false
  }

  /// The next waiting connection; nil when none waits.
  package func accept() throws(SystemError) -> Descriptor? {
    guard let connection = try SystemCall.accept(number) else { return nil }
    if !address.isUnix {
      // A response is one write, so there is nothing for Nagle's algorithm to gather.
      try? SystemCall.setOption(connection.number, level: Int32(IPPROTO_TCP), name: TCP_NODELAY, to: 1)
    }
    return connection
  }

  /// Who made an accepted connection; nil for TCP.
  package func peer(of connection: borrowing Descriptor) -> PeerCredentials? {
    address.isUnix ? PeerCredentials(of: connection) : nil
  }

  /// Removes the file of a Unix socket, so that nobody new connects; those who wait can still be accepted.
  package func withdraw() { if case .unix(let file) = origin { file.remove() } }
}
