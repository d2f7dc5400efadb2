import Basics
import Synchronization
import BrokerCore
package import IO

/// A number that one thread counts up and others read now and then. Others may count too, where that is rare.
final class Counter: Sendable {
  private let value = Atomic(0)

  func add(_ amount: Int = 1) { value.add(amount, ordering: .relaxed) }
  /// What was counted, and begins anew.
  func reset() -> Int { value.exchange(0, ordering: .relaxed) }
  var current: Int { value.load(ordering: .relaxed) }
}

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

  /// By route, and behind those what the server answered itself, before there was a request to route.
  private let requests: [[Counter]]
  private let durations: [[Counter]]
  /// Nanoseconds.
  private let sums: [Counter]
  private let hits: [Counter]
  /// TLS handshakes that failed, in the order of the reasons.
  private let handshakes = TLSHandshakeFailure.allCases.map { _ in Counter() }

  init(routes: Int) {
    requests = (0...routes).map { _ in Self.statuses.map { _ in Counter() } }
    durations = (0..<routes).map { _ in (0...Histogram.bounds.count).map { _ in Counter() } }
    sums = (0..<routes).map { _ in Counter() }
    hits = (0..<ClientNumbers.capacity).map { _ in Counter() }
  }

  package func answered(_ route: Int, status: Int, took: Duration) {
    count(route, status)
    let nanoseconds = Int(took.nanoseconds)
    let bucket = Self.bounds.firstIndex { nanoseconds <= $0 } ?? Self.bounds.count
    durations[route][bucket].add()
    sums[route].add(nanoseconds)
  }

  /// Took no time worth telling: it is in no histogram.
  package func refused(_ status: Int) { count(requests.count - 1, status) }

  package func failed(_ failure: TLSHandshakeFailure) {
    TLSHandshakeFailure.allCases.firstIndex(of: failure).map { handshakes[$0].add() }
  }

  private func count(_ route: Int, _ status: Int) {
    requests[route][Self.statuses.firstIndex(of: status) ?? Self.statuses.count - 1].add()
  }

  private static let bounds = Histogram.bounds.map { Int($0 * 1e9) }

  /// A token was answered with from the loop's own table.
  package func hit(client number: Int) { hits[number].add() }

  // MARK: Reading

  func requests(_ route: Int, statusAt index: Int) -> Int { requests[route][index].current }
  func hits(client number: Int) -> Int { hits[number].current }
  func handshakeFailures(_ index: Int) -> Int { handshakes[index].current }

  func counts(_ route: Int) -> [Int] { durations[route].map(\.current) }
  func seconds(_ route: Int) -> Double { Double(sums[route].current) / 1e9 }
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
