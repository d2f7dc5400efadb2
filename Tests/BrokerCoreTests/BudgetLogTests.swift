import Testing

@testable import BrokerCore

@Suite struct BudgetLogTests {
  private func budget(_ used: Int, month: Int = 1, limit: Int = 10, reserve: Int = 2) -> ClientStatus.Budget {
    .init(month: month, limit: limit, reserve: reserve, used: used)
  }

  @Test("There is a line when a month's allotment comes to its reserve, and one when it is used up")
  func month() {
    var log = BudgetLog()
    let events = (1...13).map { log.used(budget($0), of: "a") }
    #expect(events.firstIndex(of: .atReserve) == 7 && events.firstIndex(of: .usedUp) == 9)
    #expect(events.compactMap(\.self) == [.atReserve, .usedUp])
  }

  @Test("Without a reserve there is one when it is used up")
  func noReserve() {
    var log = BudgetLog()
    #expect((1...12).compactMap { log.used(budget($0, reserve: 0), of: "a") } == [.usedUp])
  }

  @Test("Another month, another allotment and another client have lines of their own")
  func others() {
    var log = BudgetLog()
    #expect(log.used(budget(9), of: "a") == .atReserve)
    #expect(log.used(budget(9), of: "b") == .atReserve)
    #expect(log.used(budget(9, month: 2), of: "a") == .atReserve)
    #expect(log.used(budget(9, month: 2, limit: 20), of: "a") == nil)
    #expect(log.used(budget(18, month: 2, limit: 20), of: "a") == .atReserve)
  }
}
