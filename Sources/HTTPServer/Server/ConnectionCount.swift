import Synchronization

/// The connections to one address, over all event loops, and whether one more is let in.
final class ConnectionCount: Sendable {
  enum Admission {
    case regular
    /// Beyond the limit: probes are answered, all else is told so.
    case reserve
  }

  private let limit: Int
  private let reserveLimit: Int
  private let regular = Atomic(0)
  private let reserve = Atomic(0)
  private let http2 = Atomic(0)
  private let ever = Atomic(0)

  init(_ limits: Limits) {
    limit = limits.connections
    reserveLimit = limits.reserve
  }

  /// Counts a new connection; nil when there is no room at all.
  func admit() -> Admission? {
    ever.add(1, ordering: .relaxed)
    if Self.take(regular, limit) { return .regular }
    return Self.take(reserve, reserveLimit) ? .reserve : nil
  }

  func upgraded() { http2.add(1, ordering: .relaxed) }

  /// Those that are open, and how many of them speak HTTP/2.
  var open: (all: Int, http2: Int) {
    (regular.load(ordering: .relaxed) + reserve.load(ordering: .relaxed), http2.load(ordering: .relaxed))
  }

  /// Those that there have been, with those refused.
  var total: Int { ever.load(ordering: .relaxed) }

  func closed(_ admission: Admission, wasHTTP2: Bool) {
    if wasHTTP2 { http2.subtract(1, ordering: .relaxed) }
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
