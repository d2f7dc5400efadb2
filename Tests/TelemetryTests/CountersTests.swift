import Dispatch
import Testing

@testable import Telemetry

@Suite struct CountersTests {
  @Test("Each number is counted for itself", arguments: [false, true])
  func apart(_ isShared: Bool) {
    let counters = Counters(count: 3, isShared: isShared)
    counters.add(1, at: 0)
    counters.add(5, at: 2)
    counters.add(2, at: 2)
    #expect((0..<3).map { counters[$0] } == [1, 0, 7])
  }

  @Test("What several threads count at once is counted whole where that was said")
  func shared() {
    let counters = Counters(count: 1, isShared: true)
    DispatchQueue.concurrentPerform(iterations: 8) { _ in for _ in 0..<10_000 { counters.add(1, at: 0) } }
    #expect(counters[0] == 80_000)
  }
}
