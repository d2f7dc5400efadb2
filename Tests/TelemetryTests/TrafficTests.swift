import Basics
import Testing
import BrokerCore

@testable import Telemetry

@Suite struct TrafficTests {
  private let start = Instant(nanoseconds: 0)

  private func at(_ seconds: Int) -> Instant { start.advanced(by: .seconds(seconds)) }

  private func totals(_ ok: Int, refused: Int = 0, failed: Int = 0) -> Traffic.Totals {
    Traffic.Totals(ok: ok, refused: refused, failed: failed)
  }

  @Test("A minute is what was counted in it, and the present one what was counted since")
  func minutes() {
    var traffic = Traffic(start: start)
    #expect(traffic.minutes(totals(3), at: at(10)).map(\.counts.ok) == [3])
    traffic.sample(totals(5, refused: 1), at: at(60))
    traffic.sample(totals(5, refused: 1, failed: 2), at: at(120))
    let minutes = traffic.minutes(totals(9, refused: 1, failed: 2), at: at(130))
    #expect(minutes.map(\.counts.ok) == [5, 0, 4])
    #expect(minutes.map(\.counts.refused) == [1, 0, 0] && minutes.map(\.counts.failed) == [0, 2, 0])
    #expect(minutes.map(\.start) == [at(0), at(60), at(120)] && minutes.last?.end == at(130))
  }

  @Test("An hour is kept, and no more")
  func hour() {
    var traffic = Traffic(start: start)
    for minute in 1...200 { traffic.sample(totals(minute * minute), at: at(60 * minute)) }
    let minutes = traffic.minutes(totals(200 * 200 + 7), at: at(12030))
    #expect(minutes.count == 60)
    #expect(minutes.first?.start == at(60 * 141) && minutes.first?.counts.ok == 142 * 142 - 141 * 141)
    #expect(minutes.last?.counts.ok == 7)
  }

  /// Counts by the bucket that a duration in seconds falls into.
  private func durations(_ counts: [(seconds: Double, count: Int)]) -> Traffic.Totals {
    var histogram = Histogram()
    for (seconds, count) in counts { for _ in 0..<count { histogram.add(.seconds(seconds)) } }
    return Traffic.Totals(durations: histogram.counts)
  }

  @Test("A quantile lies as far into its bucket as its rank", arguments: [0.01, 0.5, 0.99, 1])
  func quantiles(_ share: Double) throws {
    // A hundred between half a millisecond and a whole one, and none beside.
    let quantile = try #require(durations([(0.0007, 100)]).quantile(share))
    #expect(abs(quantile - (0.0005 + 0.0005 * share)) < 1e-9)
  }

  @Test("A few slow ones are seen in the 99th hundredth and not in the middle")
  func tail() throws {
    let totals = durations([(0.00005, 97), (2, 3)])
    #expect(try #require(totals.quantile(0.5)) < 0.0001)
    #expect((1...2.5).contains(try #require(totals.quantile(0.99))))
    #expect(durations([(100, 1)]).quantile(0.5) == 30, "beyond the last bound no more is known")
    #expect(durations([]).quantile(0.5) == nil)
  }
}
