package import Basics
import BrokerCore
package import IO
import Synchronization

/// A route as metrics tell it apart from others. Its index among all is what it is counted by.
package struct RouteLabel: Sendable {
  /// A template, never a path: that would be without bound.
  let template: String
  /// Requests for it are requests for tokens.
  let givesTokens: Bool

  package init(template: String, givesTokens: Bool) {
    self.template = template
    self.givesTokens = givesTokens
  }
}

/// What one event loop counts. A loop of its own for each, so that no two cores write to the same place for a request.
package final class LoopMetrics: Sendable {
  /// The statuses that are told apart; any other counts as the last.
  static let statuses = [
    200, 400, 401, 403, 404, 405, 406, 408, 413, 414, 415, 417, 429, 431, 501, 502, 503, 504, 505, 500,
  ]

  private static let bounds = Histogram.bounds.map { Int64($0 * 1e9) }

  /// All that is counted, one kind behind the other. Requests are counted by route and status, and behind the routes
  /// what the server answered itself, before there was a request to route.
  private let counters: Counters
  private let routes: Int
  /// Where each other kind begins: durations by route and bucket, their sums in nanoseconds by route, hits by client,
  /// and TLS handshakes that failed, in the order of the reasons.
  private let durations, sums, hits, handshakes: Int

  /// `isShared`: more than one thread counts.
  init(routes: Int, isShared: Bool = false) {
    self.routes = routes
    durations = (routes + 1) * Self.statuses.count
    sums = durations + routes * (Self.bounds.count + 1)
    hits = sums + routes
    handshakes = hits + ClientNumbers.capacity
    counters = Counters(count: handshakes + TLSHandshakeFailure.allCases.count, isShared: isShared)
  }

  package func answered(_ route: Int, status: Int, from start: Instant, to end: Instant) {
    count(route, status)
    let took = end.nanoseconds - start.nanoseconds
    let bucket = Self.bounds.firstIndex { took <= $0 } ?? Self.bounds.count
    counters.add(1, at: place(route, bucket: bucket))
    counters.add(Int(took), at: sums + route)
  }

  /// Took no time worth telling: it is in no histogram.
  package func refused(_ status: Int) { count(routes, status) }

  package func failed(_ failure: TLSHandshakeFailure) {
    TLSHandshakeFailure.allCases.firstIndex(of: failure).map { counters.add(1, at: handshakes + $0) }
  }

  private func count(_ route: Int, _ status: Int) {
    let index = Self.statuses.firstIndex(of: status) ?? Self.statuses.count - 1
    counters.add(1, at: place(route, statusAt: index))
  }

  /// A token was answered with from the loop's own table.
  package func hit(client number: Int) { counters.add(1, at: hits + number) }

  private func place(_ route: Int, statusAt index: Int) -> Int { route * Self.statuses.count + index }
  private func place(_ route: Int, bucket: Int) -> Int { durations + route * (Self.bounds.count + 1) + bucket }

  // MARK: Reading

  func requests(_ route: Int, statusAt index: Int) -> Int { counters[place(route, statusAt: index)] }
  func hits(client number: Int) -> Int { counters[hits + number] }
  func handshakeFailures(_ index: Int) -> Int { counters[handshakes + index] }

  func counts(_ route: Int) -> [Int] { (0...Self.bounds.count).map { counters[place(route, bucket: $0)] } }
  func seconds(_ route: Int) -> Double { Double(counters[sums + route]) / 1e9 }
}

/// Numbers for clients' names, so that counting for one needs no look-up.
package final class ClientNumbers: Sendable {
  /// Clients beyond it share the last number.
  static let capacity = 64

  private let numbers = Mutex<[String: Int]>([:])

  package init() {}

  package func number(of client: String) -> Int {
    numbers.withLock { numbers in
      if let number = numbers[client] { return number }
      let number = min(numbers.count, Self.capacity - 1)
      numbers[client] = number
      return number
    }
  }

  var all: [(name: String, number: Int)] { numbers.withLock { $0.map { ($0.key, $0.value) } } }
}
