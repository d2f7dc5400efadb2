import Basics
import Testing

@testable import Telemetry

@Suite struct RepeatedLinesTests {
  private func at(_ seconds: Int) -> Instant { Instant(nanoseconds: 0).advanced(by: .seconds(seconds)) }

  @Test("There is a line a minute of each, which says how many were left out")
  func pause() {
    let lines = RepeatedLines()
    #expect(lines.admit("a", now: at(0)) == 0)
    for second in 1..<60 { #expect(lines.admit("a", now: at(second)) == nil) }
    #expect(lines.admit("b", now: at(30)) == 0, "another's line is its own")
    #expect(lines.admit("a", now: at(60)) == 59)
    #expect(lines.admit("a", now: at(120)) == 0)
  }

  @Test("Names made up by the thousand share one line a minute, and take no room")
  func capacity() {
    let lines = RepeatedLines()
    let written = (0..<5000).count { lines.admit("\($0)", now: at(0)) != nil }
    #expect(written == RepeatedLines.capacity + 1)
    #expect(lines.admit("new", now: at(61)) == 0, "those of the last minute have gone")
  }
}
