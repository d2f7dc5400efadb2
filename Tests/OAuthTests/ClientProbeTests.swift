import Testing

@testable import OAuth

@Suite struct ClientProbeTests {
  /// Saturday, 1 January 2000, 0:00 UTC.
  private static let date = "Sat, 01 Jan 2000 00:00:00 GMT"
  private static let time = 946_684_800.0

  @Test(
    "A clock is off by what neither the whole seconds of a date nor the way there explain",
    arguments: [
      (date, nil, time, time, 0), (date, nil, time + 0.9, time + 1, 0), (date, nil, time - 2, time, 0),
      (date, nil, time - 2, time - 1, 1), (date, nil, time + 1.5, time + 9, -0.5),
      (date, nil, time + 601, time + 601, -600),
      (date, nil, time - 601, time - 600, 600),
      // What a cache has held for an hour was dated an hour ago.
      (date, "3600", time + 3600, time + 3600, 0), (date, "3600", time + 3602, time + 3603, 0),
      (date, "3600", time + 3000, time + 3000, 600), (date, "-1", time, time, 0),
      (nil, nil, time, time, nil), ("yesterday", nil, time, time, nil), ("", nil, time, time, nil),
    ] as [(String?, String?, Double, Double, Double?)])
  func clockOffset(_ date: String?, _ age: String?, _ asked: Double, _ answered: Double, _ expected: Double?) {
    #expect(ClientProbe.clockOffset(date: date, age: age, asked: asked, answered: answered) == expected)
  }
}
