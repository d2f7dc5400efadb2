package import Basics
import BrokerCore

/// Requests for tokens in the last hour, minute by minute: what the counters said at the end of each.
package struct Traffic: Sendable {
  /// What has been counted since the start.
  package struct Totals: Sendable {
    /// Answered with a token, with a status of 400 to 499, and with any other.
    package var ok = 0
    package var refused = 0
    package var failed = 0
    /// As in `Histogram.counts`.
    var durations = [Int](repeating: 0, count: Histogram.bounds.count + 1)

    static func - (left: Totals, right: Totals) -> Totals {
      Totals(
        ok: left.ok - right.ok, refused: left.refused - right.refused, failed: left.failed - right.failed,
        durations: zip(left.durations, right.durations).map(-))
    }
  }

  package struct Minute: Sendable {
    package let start: Instant
    package let end: Instant
    package let counts: Totals
  }

  static let length = 60

  /// The oldest first; a minute lies between each and the next.
  private var samples: [(at: Instant, totals: Totals)]

  package init(start: Instant) { samples = [(start, Totals())] }

  /// Ends a minute.
  package mutating func sample(_ totals: Totals, at now: Instant) {
    samples.append((now, totals))
    if samples.count > Self.length { samples.removeFirst() }
  }

  /// The oldest first; the last one is the present one, up to `now`.
  package func minutes(_ totals: Totals, at now: Instant) -> [Minute] {
    zip(samples, samples.dropFirst() + [(now, totals)]).map { start, end in
      Minute(start: start.at, end: end.at, counts: end.totals - start.totals)
    }
  }
}

extension Traffic.Totals {
  /// The share of durations up to which seconds, evenly spread within each bucket, as Prometheus' `histogram_quantile`
  /// has it; nil if nothing was counted.
  package func quantile(_ share: Double) -> Double? {
    let total = durations.reduce(0, +)
    guard total > 0 else { return nil }
    let rank = share * Double(total)
    var below = 0.0
    var lower = 0.0
    for (upper, count) in zip(Histogram.bounds, durations.map(Double.init)) {
      if below + count >= rank, count > 0 { return lower + (upper - lower) * (rank - below) / count }
      below += count
      lower = upper
    }
    return Histogram.bounds.last
  }
}
