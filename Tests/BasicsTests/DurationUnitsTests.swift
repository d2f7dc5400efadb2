import Basics
import Testing

@Suite struct DurationUnitsTests {
  @Test(
    "Milliseconds are rounded towards zero",
    arguments: [(0, 0), (999_999, 0), (1_000_000, 1), (2_500_999_999, 2500), (-1_999_999, -1)])
  func milliseconds(_ nanoseconds: Int64, _ expected: Int64) {
    #expect(Duration.nanoseconds(nanoseconds).milliseconds == expected)
  }

  @Test(
    "Whole seconds are rounded up, and what is past is none",
    arguments: [(0, 0), (1, 1), (1_000_000_000, 1), (1_000_000_001, 2), (-1, 0), (-5_000_000_000, 0)])
  func wholeSecondsUp(_ nanoseconds: Int64, _ expected: Int) {
    #expect(Duration.nanoseconds(nanoseconds).wholeSecondsUp == expected)
  }
}
