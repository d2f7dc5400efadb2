import BrokerCore

/// What a store does not do though it is within reach. Any answer that refuses adds to it; only a trial that begins
/// later, and passes, takes away from it: what one part of a store does says nothing of another.
struct StoreRefusals {
  private var all: [StoreOperation: (reason: String, number: Int)] = [:]
  /// How many answers have refused so far; tells which were before a trial.
  private(set) var count = 0

  var reasons: [StoreOperation: String] { all.mapValues(\.reason) }

  /// Returns whether it was not refused before.
  mutating func add(_ operation: StoreOperation, _ reason: String) -> Bool {
    count += 1
    return all.updateValue((reason, count), forKey: operation) == nil
  }

  /// A trial that began at this count did it. Returns whether it was refused before, and is not any more.
  mutating func passed(_ operation: StoreOperation, since count: Int) -> Bool {
    guard let last = all[operation], last.number <= count else { return false }
    all[operation] = nil
    return true
  }
}
