package import Basics
import Synchronization

/// Requests for tokens by who asked, for which audience, and how that ended.
///
/// An audience is told apart once it has yielded a token, for anybody can make one up; and there are only so many pairs
/// of a caller and an audience, for labels cost whoever stores them.
package final class CallerUsage: Sendable {
  /// How a request ended.
  package struct Outcome: Hashable, Sendable {
    /// `ok`, or the error's word.
    let word: String
    /// Somebody asked who may not.
    let isDenial: Bool

    package static let given = Outcome("ok", isDenial: false)

    package init(_ word: String, isDenial: Bool) {
      self.word = word
      self.isDenial = isDenial
    }
  }

  /// What one thread counts of one caller, audience and outcome, and when it did last. Others may count too, where that
  /// is rare.
  package final class Cell: Sendable {
    private let value = Atomic(0)
    private let last = Atomic<Int64>(0)

    package func add(at now: Instant) {
      value.add(1, ordering: .relaxed)
      last.store(now.nanoseconds, ordering: .relaxed)
    }

    fileprivate var count: Int { value.load(ordering: .relaxed) }
    fileprivate var lastAt: Instant { Instant(nanoseconds: last.load(ordering: .relaxed)) }
  }

  /// What has been counted.
  package struct Row: Sendable {
    package let caller: String
    /// nil: one that never yielded a token, or is not told apart.
    package let audience: String?
    let outcome: Outcome
    package let count: Int
    /// Means nothing where none was counted.
    package let lastAt: Instant

    package var isDenial: Bool { outcome.isDenial }
  }

  private struct Subject: Hashable {
    let caller: String
    /// By number; 0 for all that are not told apart.
    var audience: Int
    let outcome: Outcome
  }

  private struct State {
    var numbers: [String: Int] = [:]
    /// By number.
    var audiences: [String?] = [nil]
    /// One for each event loop, and one for everybody else.
    var cells: [Subject: [Cell]] = [:]
    /// How many of them are of an audience that is told apart.
    var pairs = 0
  }

  /// In place of a caller's name: where nobody was recognised, and where clients bring credentials of their own.
  package static let unknown = "(unknown)"
  package static let passThrough = "(pass-through)"

  static let maxAudiences = 1000
  static let maxPairs = 1000

  private let loops: Int
  private let state = Mutex(State())

  package init(loops: Int) { self.loops = loops }

  /// The number of an audience that has yielded a token, from 1; 0 for those beyond the ones that are told apart.
  package func number(of audience: String) -> Int {
    state.withLock { state in
      if let number = state.numbers[audience] { return number }
      guard state.audiences.count <= Self.maxAudiences else { return 0 }
      state.audiences.append(audience)
      state.numbers[audience] = state.audiences.count - 1
      return state.audiences.count - 1
    }
  }

  /// Where an event loop counts what a caller is given of an audience, by its number. Finding it takes a lock and a
  /// look-up, so it is to be kept.
  package func given(_ caller: String, audience number: Int, loop: Int) -> Cell {
    cell(Subject(caller: caller, audience: number, outcome: .given), loop)
  }

  /// Counts a request that no event loop has answered from its own table.
  package func count(_ caller: String, audience: String?, _ outcome: Outcome) {
    let number = audience.flatMap { audience in state.withLock { $0.numbers[audience] } } ?? 0
    cell(Subject(caller: caller, audience: number, outcome: outcome), loops).add(at: .now)
  }

  /// Begins to count for these callers, so that what watches sees them at 0 first.
  package func expect(_ callers: some Sequence<String>) {
    for caller in callers { _ = cell(Subject(caller: caller, audience: 0, outcome: .given), loops) }
  }

  private func cell(_ subject: Subject, _ index: Int) -> Cell {
    state.withLock { state in
      var subject = subject
      if subject.audience != 0, state.cells[subject] == nil {
        if state.pairs < Self.maxPairs { state.pairs += 1 } else { subject.audience = 0 }
      }
      if let cells = state.cells[subject] { return cells[index] }
      let cells = (0...loops).map { _ in Cell() }
      state.cells[subject] = cells
      return cells[index]
    }
  }

  /// All of it, by caller, audience and outcome.
  package var rows: [Row] {
    let (cells, audiences) = state.withLock { ($0.cells, $0.audiences) }
    return cells.map { subject, cells in
      Row(
        caller: subject.caller, audience: audiences[subject.audience], outcome: subject.outcome,
        count: cells.reduce(0) { $0 + $1.count }, lastAt: cells.map(\.lastAt).max() ?? .init(nanoseconds: 0))
    }.sorted { $0.order.lexicographicallyPrecedes($1.order) }
  }
}

extension CallerUsage.Row {
  /// How it ended, as in metrics.
  var word: String { outcome.word }

  fileprivate var order: [String] { [caller, audience ?? "", word] }
}
