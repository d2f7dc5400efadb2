import Basics
import Testing

@testable import Telemetry

@Suite struct LineAllowancesTests {
  private func at(_ seconds: Int) -> Instant { Instant(nanoseconds: 0).advanced(by: .seconds(seconds)) }

  @Test("Beyond so many a minute there is no line, and the next one tells how many are missing; others have theirs")
  func flood() {
    let lines = LineAllowances(perMinute: 60)
    #expect((0..<1000).count { _ in lines.admit("flood", now: at(100)) != nil } == 60)
    #expect(lines.admit("other", now: at(100)) == 0)
    #expect(lines.admit("flood", now: at(101)) == 940)
    #expect(lines.admit("flood", now: at(102)) == 0)
  }

  @Test("Names made up by the thousand share one allowance, and take no room")
  func capacity() {
    let lines = LineAllowances(perMinute: 60)
    let written = (0..<5000).count { lines.admit("\($0)", now: at(100)) != nil }
    #expect(written == LineAllowances.capacity + 60)
    #expect(lines.admit("new", now: at(200)) == 0, "those of the last minute have gone")
  }
}
