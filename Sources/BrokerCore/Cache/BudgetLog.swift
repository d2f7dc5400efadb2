/// Which lines there are of the months' allotments: one when a client is down to its reserve, and one when all is used
/// up.
struct BudgetLog {
  enum Event { case atReserve, usedUp }

  private struct Told {
    let budget: ClientStatus.Budget
    let event: Event
  }

  /// What was said last of each client.
  private var told: [String: Told] = [:]

  /// What there is to say now, if anything.
  mutating func used(_ budget: ClientStatus.Budget, of client: String) -> Event? {
    let last = told[client].flatMap { $0.budget.isSame(as: budget) ? $0.event : nil }
    let event: Event? =
      budget.remaining == 0 ? .usedUp : budget.remaining <= budget.reserve ? last ?? .atReserve : last
    guard let event, event != last else { return nil }
    told[client] = Told(budget: budget, event: event)
    return event
  }
}

extension ClientStatus.Budget {
  /// They are for the same month, and as large.
  fileprivate func isSame(as other: Self) -> Bool {
    (month, limit, reserve) == (other.month, other.limit, other.reserve)
  }
}
