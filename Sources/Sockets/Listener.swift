import Glibc

/// A listening TCP socket. Several may share one address through `SO_REUSEPORT`: one for each event loop.
package final class Listener: Sendable {
  private let descriptor: Descriptor
  package let address: SocketAddress

  package var number: Int32 { descriptor.number }

  private init(_ wanted: SocketAddress, shared: Bool) throws(SystemError) {
    let socket = try SystemCall.socket(family: wanted.family)
    try SystemCall.setOption(socket.number, level: SOL_SOCKET, name: SO_REUSEADDR, to: 1)
    if shared { try SystemCall.setOption(socket.number, level: SOL_SOCKET, name: SO_REUSEPORT, to: 1) }
    try SystemCall.bind(socket.number, to: wanted)
    if shared { try SystemCall.listen(socket.number, backlog: 4096) }
    address = try SystemCall.localAddress(of: socket.number)
    descriptor = socket
  }

  /// Binds and listens. Port 0 takes a free one, which `address` then names.
  package convenience init(_ wanted: SocketAddress) throws(SystemError) {
    // SO_REUSEPORT would silently share the port with another process of the same user, so a plain bind asks first.
    if wanted.port != 0 { _ = try Listener(wanted, shared: false) }
    try self.init(wanted, shared: true)
  }

  /// Another listener on the same address, for another loop.
  package func sibling() throws(SystemError) -> Listener { try Listener(address, shared: true) }

  /// The next waiting connection; nil when none waits.
  package func accept() throws(SystemError) -> Descriptor? {
    guard let connection = try SystemCall.accept(number) else { return nil }
    // A response is one write, so there is nothing for Nagle's algorithm to gather.
    try? SystemCall.setOption(connection.number, level: Int32(IPPROTO_TCP), name: TCP_NODELAY, to: 1)
    return connection
  }
}

extension SystemError {
  package var isOutOfDescriptors: Bool { code == EMFILE || code == ENFILE }

  /// The connection that was to be accepted is gone; the next may be sound (accept(2), "Error handling").
  /// All else, such as being out of descriptors, would fail again at once.
  package var isOfOneConnection: Bool {
    [ECONNABORTED, EPROTO, ENETDOWN, EHOSTDOWN, EHOSTUNREACH, ENETUNREACH, ENONET, ENOPROTOOPT].contains(code)
  }
}
