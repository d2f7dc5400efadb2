package import IO
import Synchronization

/// What a listener is for, and so what is served there.
package enum ListenerRole: Sendable {
  case main, admin
}

/// One address that a server listens on, over all event loops: what for, with which certificate, and how many are
/// connected to it.
package final class ListenerState: Sendable {
  enum Admission {
    case regular
    /// Beyond the limit: probes are answered, all else is told so.
    case reserve
  }

  /// As it is bound: a port 0 has become the real one.
  package let address: SocketAddress
  package let role: ListenerRole
  package let isTLS: Bool
  let isOnLoopback: Bool
  let proxies: [AddressRange]?
  private let currentContext: Mutex<TLSContext?>
  private let limits: Limits
  private let regular = Atomic(0)
  private let reserve = Atomic(0)
  private let upgrades = Atomic(0)
  private let ever = Atomic(0)

  init(_ address: SocketAddress, _ binding: Server.Binding, _ limits: Limits) {
    self.address = address
    role = binding.role
    proxies = binding.proxies
    isOnLoopback = address.isLoopback && !address.isUnix
    isTLS = binding.tls != nil
    currentContext = Mutex(binding.tls)
    self.limits = limits
  }

  /// Each connection begins with the header of the PROXY protocol.
  package var requiresProxy: Bool { proxies != nil }

  /// The TLS context that the next connection gets.
  var context: TLSContext? { currentContext.withLock { $0 } }

  func replaceContext(_ new: TLSContext) { currentContext.withLock { $0 = new } }

  // MARK: Connections

  /// Open connections that speak HTTP/1; one that has said nothing counts as such.
  package var http1: Int {
    max(0, regular.load(ordering: .relaxed) + reserve.load(ordering: .relaxed) - http2)
  }

  package var http2: Int { upgrades.load(ordering: .relaxed) }

  /// The connections that there have been, with those refused.
  package var total: Int { ever.load(ordering: .relaxed) }

  /// Counts a new connection; nil when there is no room at all.
  func admit() -> Admission? {
    ever.add(1, ordering: .relaxed)
    if Self.take(regular, limits.connections) { return .regular }
    return Self.take(reserve, limits.reserve) ? .reserve : nil
  }

  /// A connection has gone over to HTTP/2.
  func upgraded() { upgrades.add(1, ordering: .relaxed) }

  func closed(_ admission: Admission, wasHTTP2: Bool) {
    if wasHTTP2 { upgrades.subtract(1, ordering: .relaxed) }
    switch admission {
    case .regular: regular.subtract(1, ordering: .relaxed)
    case .reserve: reserve.subtract(1, ordering: .relaxed)
    }
  }

  private static func take(_ count: borrowing Atomic<Int>, _ limit: Int) -> Bool {
    if count.add(1, ordering: .relaxed).newValue <= limit { return true }
    count.subtract(1, ordering: .relaxed)
    return false
  }
}
