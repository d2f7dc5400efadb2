/// Durations, counted by how long they were.
package struct Histogram: Sendable {
  /// In seconds; what is longer counts too.
  package static let bounds = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
  ]

  /// For each bound, how many were up to it and over the one before; behind them, how many were over the last.
  package private(set) var counts = [Int](repeating: 0, count: Self.bounds.count + 1)
  /// In seconds.
  package private(set) var sum = 0.0

  package init() {}

  package mutating func add(_ duration: Duration) {
    let seconds = duration / .seconds(1)
    counts[Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count] += 1
    sum += seconds
  }

  package init(counts: [Int], sum: Double) {
    self.counts = counts
    self.sum = sum
  }
}
