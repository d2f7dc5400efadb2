import Basics
import Testing

@Suite struct BackoffTests {
  @Test(
    "The wait doubles with each failure in a row, up to the longest",
    arguments: [
      (0, 250), (1, 250), (2, 500), (3, 1000), (7, 16_000), (8, 30_000), (9, 30_000), (11, 30_000), (12, 30_000),
      (.max, 30_000),
    ])
  func doubling(_ failures: Int, _ milliseconds: Int) {
    let backoff = Backoff(first: .milliseconds(250), longest: .seconds(30))
    #expect(backoff.delay(after: failures) == .milliseconds(milliseconds))
  }

  @Test("A first wait that is over the longest is cut to it")
  func longFirst() {
    #expect(Backoff(first: .seconds(2), longest: .seconds(1)).delay(after: 1) == .seconds(1))
  }

  @Test("A wait is spread evenly between its least share and the whole of it")
  func jitter() {
    let backoff = Backoff(first: .seconds(1), longest: .seconds(4))
    var random = Halves()
    #expect(backoff.jitteredDelay(after: 2, using: &random) == .seconds(1))
    #expect(backoff.jitteredDelay(after: 2, least: 0.5, using: &random) == .seconds(1.5))
    #expect(backoff.jitteredDelay(after: 9, least: 1, using: &random) == .seconds(4))
  }

  @Test("Each wait draws one random number, so that the same seed gives the same waits")
  func draws() {
    var random = Halves()
    for failures in 1...100 {
      _ = Backoff(first: .seconds(1), longest: .seconds(4)).jitteredDelay(after: failures, least: 0.1, using: &random)
    }
    #expect(random.count == 100)
  }

  /// Draws the middle of every range.
  private struct Halves: RandomNumberGenerator {
    var count = 0

    mutating func next() -> UInt64 {
      count += 1
      return 1 << 63
    }
  }
}
