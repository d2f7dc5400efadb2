/// How many tokens a client was given in a calendar month: by what this broker has minted, and by what it has heard of
/// the others of its fleet. A value; within a month it never falls.
package struct MintCount: Sendable {
  /// What a store is told. It answers with the larger of `atLeast` and what it has, and `adding` more than that.
  package struct Report: Sendable, Equatable {
    package let month: Int
    package let adding: Int
    package let atLeast: Int
  }

  /// What became of a report.
  package enum Outcome: Sendable, Equatable {
    /// So many are counted in the store now.
    case total(Int)
    /// Nothing was added.
    case untold
    /// Nobody knows whether it was added.
    case unknown
  }

  /// Told as any number that grows.
  private(set) var month = 0
  /// Whether the others' were counted this month.
  private(set) var isOfFleet = false
  private var known = 0
  private var untold = 0
  private var isReporting = false

  /// What a store says is believed up to here: what can be told to every store, and added to.
  private static let most = 1 << 50

  var total: Int { known + untold }

  /// Whether the others do not know of all, or this broker not of theirs.
  var isOutdated: Bool { untold > 0 || !isOfFleet }

  mutating func add() { untold += 1 }

  /// Begins to count anew in a new month. A clock that was set back changes nothing.
  mutating func enter(month: Int) {
    guard month > self.month else { return }
    (self.month, known, untold, isOfFleet) = (month, 0, 0, false)
  }

  /// What the store is to be told now; `reported` must follow, once. nil while it is being told.
  mutating func report() -> Report? {
    if isReporting { return nil }
    isReporting = true
    return Report(month: month, adding: untold, atLeast: known)
  }

  /// What was perhaps added is not added again: it would grow with each trial. The next report tells of it as of what
  /// is known, which makes no difference if the store has it.
  mutating func reported(_ report: Report, _ outcome: Outcome) {
    isReporting = false
    guard report.month == month, outcome != .untold else { return }
    known += report.adding
    untold -= report.adding
    guard case .total(let total) = outcome else { return }
    known = max(known, min(total, Self.most))
    isOfFleet = true
  }
}
