import Testing

@testable import BrokerCore

@Suite struct MintCountTests {
  private var count = MintCount()

  private mutating func mint(_ times: Int) { for _ in 0..<times { count.add() } }

  private mutating func tell(_ outcome: MintCount.Outcome) -> MintCount.Report? {
    guard let report = count.report() else { return nil }
    count.reported(report, outcome)
    return report
  }

  @Test("What a store knows of the others is added to what this broker has minted, which is told once")
  mutating func together() {
    count.enter(month: 7)
    mint(2)
    #expect(count.total == 2 && !count.isOfFleet && count.isOutdated)
    #expect(tell(.total(12)) == .init(month: 7, adding: 2, atLeast: 0))
    #expect(count.total == 12 && count.isOfFleet && !count.isOutdated)
    mint(1)
    #expect(count.total == 13 && count.isOutdated)
    #expect(tell(.total(20)) == .init(month: 7, adding: 1, atLeast: 12))
    #expect(tell(.total(25)) == .init(month: 7, adding: 0, atLeast: 20))
    #expect(count.total == 25)
  }

  @Test("What could not be told is told the next time, and what perhaps was is not added twice")
  mutating func failures() {
    mint(3)
    #expect(tell(.untold) == .init(month: 0, adding: 3, atLeast: 0))
    #expect(count.total == 3)
    mint(1)
    #expect(tell(.unknown) == .init(month: 0, adding: 4, atLeast: 0))
    #expect(count.total == 4)
    #expect(tell(.total(4)) == .init(month: 0, adding: 0, atLeast: 4))
  }

  @Test("A store that has lost the count, or put an earlier one back, is told what is known")
  mutating func loss() {
    mint(1)
    _ = tell(.total(40))
    mint(1)
    #expect(tell(.total(3)) == .init(month: 0, adding: 1, atLeast: 40))
    #expect(count.total == 41, "it never falls")
    #expect(count.report() == .init(month: 0, adding: 0, atLeast: 41))
  }

  @Test("What is minted while a report is under way goes with the next, and there is one at a time")
  mutating func meanwhile() throws {
    mint(1)
    let found = count.report()
    let report = try #require(found)
    mint(2)
    #expect(count.report() == nil)
    count.reported(report, .total(1))
    #expect(count.total == 3)
    #expect(count.report() == .init(month: 0, adding: 2, atLeast: 1))
  }

  @Test("A month begins at nothing, whatever is heard of the one before; a clock that is set back changes nothing")
  mutating func months() throws {
    count.enter(month: 7)
    mint(5)
    let found = count.report()
    let report = try #require(found)
    count.enter(month: 8)
    mint(1)
    count.reported(report, .total(100))
    #expect(count.total == 1 && !count.isOfFleet)
    count.enter(month: 7)
    #expect(count.month == 8 && tell(.total(1)) == .init(month: 8, adding: 1, atLeast: 0))
  }

  @Test("No number that a store may have breaks anything", arguments: [Int.min, -1, Int.max])
  mutating func numbers(_ total: Int) {
    mint(1)
    _ = tell(.total(total))
    mint(1)
    #expect(count.total >= 2)
    _ = tell(.total(total))
    #expect(count.total >= 2)
  }
}
