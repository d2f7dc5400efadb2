import Basics
import Synchronization
import BrokerCore

/// A number that one thread counts up and others read now and then. Others may count too, where that is rare.
final class Counter: Sendable {
  private let value = Atomic(0)

  func add(_ amount: Int = 1) { value.add(amount, ordering: .relaxed) }
  /// What was counted, and begins anew.
  func take() -> Int { value.exchange(0, ordering: .relaxed) }
  var current: Int { value.load(ordering: .relaxed) }
}

/// The ways in, as metrics tell them apart.
package enum Route: Int, CaseIterable, Sendable {
  case token, forwardAuth, oauthToken, healthz, readyz, metrics, status, statusJSON, other
  /// None: the server answered itself, before there was a request to route.
  case refused

  /// Those that give tokens.
  static let tokens = [token, forwardAuth, oauthToken]

  /// A template, never a path: that would be without bound.
  var template: String {
    switch self {
    case .token: "/token/{audience}"
    case .forwardAuth: "/forward-auth/{audience}"
    case .oauthToken: "/oauth/token"
    case .healthz: "/healthz"
    case .readyz: "/readyz"
    case .metrics: "/metrics"
    case .status: "/status"
    case .statusJSON: "/status.json"
    case .other: "other"
    case .refused: "refused"
    }
  }
}

/// What one event loop counts. A loop of its own for each, so that no two cores write to the same place for a request.
package final class LoopMetrics: Sendable {
  /// The statuses that are told apart; any other counts as the last.
  static let statuses = [200, 400, 401, 403, 404, 405, 406, 408, 413, 414, 417, 431, 501, 502, 503, 504, 505, 500]

  private let requests: [[Counter]]
  private let durations: [[Counter]]
  /// Nanoseconds.
  private let sums: [Counter]
  private let hits: [Counter]

  init() {
    requests = Route.allCases.map { _ in Self.statuses.map { _ in Counter() } }
    durations = Route.allCases.map { _ in (0...Histogram.bounds.count).map { _ in Counter() } }
    sums = Route.allCases.map { _ in Counter() }
    hits = (0..<ClientNumbers.capacity).map { _ in Counter() }
  }

  package func answered(_ route: Route, status: Int, took: Duration) {
    count(route, status)
    let nanoseconds = Int(took.nanoseconds)
    let bucket = Self.bounds.firstIndex { nanoseconds <= $0 } ?? Self.bounds.count
    durations[route.rawValue][bucket].add()
    sums[route.rawValue].add(nanoseconds)
  }

  /// Took no time worth telling: it is in no histogram.
  package func refused(_ status: Int) { count(.refused, status) }

  private func count(_ route: Route, _ status: Int) {
    requests[route.rawValue][Self.statuses.firstIndex(of: status) ?? Self.statuses.count - 1].add()
  }

  private static let bounds = Histogram.bounds.map { Int($0 * 1e9) }

  /// A token was answered with from the loop's own table.
  package func hit(client number: Int) { hits[number].add() }

  // MARK: Reading

  func requests(_ route: Route, statusAt index: Int) -> Int { requests[route.rawValue][index].current }
  func hits(client number: Int) -> Int { hits[number].current }

  func counts(_ route: Route) -> [Int] { durations[route.rawValue].map(\.current) }
  func seconds(_ route: Route) -> Double { Double(sums[route.rawValue].current) / 1e9 }
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
