import Basics
import BrokerCore

/// What may be wrong with stores of a kind.
extension Scenario.StoreKind {
  /// How many parts a store has, each with keys of its own.
  static let parts = 3

  /// The events without what does not happen to such a store.
  func kept(_ events: [Scenario.Event]) -> [Scenario.Event] {
    events.filter { event in
      guard self == .file, case .troubleStore(let trouble, _) = event.step else { return true }
      return [.isDown, .isSlow, .isDeaf].contains(trouble)
    }
  }

  /// What happens to such a store alone.
  func troubles(before end: Scenario.Seconds, _ random: inout SeededGenerator) -> [Scenario.Event] {
    var events: [Scenario.Event] = []
    func add(_ at: Scenario.Seconds, _ trouble: Scenario.StoreTrouble, lasting: Scenario.Seconds = 0) {
      events.append(.init(at: at, step: .troubleStore(trouble, lasting: min(lasting, end - at))))
    }
    for _ in 0..<Int.random(in: 0...4, using: &random) {
      let at = Double.random(in: 0..<end, using: &random)
      let part = Int.random(in: 0..<Self.parts, using: &random)
      let kinds =
        switch self {
        case .file: 1
        case .server: 4
        case .cluster: 5
        }
      switch Int.random(in: 0..<kinds, using: &random) {
      case 0: add(at, .isReadOnly, lasting: random.pick([5, 60, 3000]))
      case 1: add(at, .losesPart(part))
      case 2:
        let behind = min(Double.random(in: 0.01...3, using: &random), end - at)
        add(at, .fallsBehind, lasting: behind)
        add(at + behind, .failsOver)
      case 3: add(at, .grantsTwice, lasting: random.pick([1, 30, 600]))
      default: add(at, .lacksPart(part), lasting: random.pick([2, 60, 3000]))
      }
    }
    return events
  }
}
