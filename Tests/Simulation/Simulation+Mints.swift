import Basics
import BrokerCore

/// How a fleet counts its mints together, as `Broker.shareMints` does it.
extension Simulation {
  private var client: UpstreamID { "default" }

  mutating func countMintsIfOutdated() {
    if store != nil, replica.cache.isCountOutdated(of: client) { countMints() }
  }

  mutating func countMints() {
    guard let report = replica.cache.mintReport(of: client) else { return }
    plan(.storeCounts(report, incarnation: replica.incarnation), in: storeLatency())
  }

  mutating func counted(_ report: MintCount.Report) throws(Violation) {
    var outcome = MintCount.Outcome.untold
    // An answer that is late is as good as none, and nobody knows what it was.
    if store?.isSlow(now) == true, Int.random(in: 0..<4, using: &random) == 0 {
      if Bool.random(using: &random) { _ = store?.count(report, now) }
      outcome = .unknown
    } else if let total = store?.count(report, now) {
      outcome = .total(total)
    }
    replica.cache.reported(report, of: client, outcome)
    note("counted \(report.adding): \(outcome)")
    try checkCount()
    if case .total = outcome { countMintsIfOutdated() }
  }

  /// What a store has counted is exact but for its troubles and brokers that died, and never too much.
  private mutating func checkCount() throws(Violation) {
    guard let store else { return }
    if max(store.mints, replica.cache.mintsUsed(of: client)) > fleet.mints {
      throw violation("no mint is counted twice", "\(store.mints), \(fleet.mints) were minted")
    }
    let last = max(fleet.storeWasTroubledAt, fleet.brokerDiedAt)
    guard now > last.advanced(by: .seconds(60)), isCountSettled else { return }
    if highestCount > store.mints {
      throw violation("a count that is lost is made good", "\(highestCount) are known of, \(store.mints) counted")
    }
    let uncounted = fleet.mints - store.mints
    let expected =
      fleet.storeTroubles.isEmpty && fleet.restarts == 0
      ? 0 : fleet.uncounted.flatMap { $0.since == last ? $0.count : nil } ?? uncounted
    if uncounted != expected { throw violation("each mint of a fleet is counted", "\(uncounted - expected) are not") }
    fleet.uncounted = (last, uncounted)
  }
}
