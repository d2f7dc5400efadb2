/// What was asked of a store so far.
package struct StoreFigures: Sendable {
  package struct Outcome: Hashable, Sendable {
    /// `load`, `claim`, `save` or `remove`.
    package let operation: String
    package let isOK: Bool

    package init(operation: String, isOK: Bool) {
      self.operation = operation
      self.isOK = isOK
    }
  }

  package var outcomes: [Outcome: Int] = [:]
  /// Values that did not open, or whose tokens did not pass.
  package var ignored = 0
  package var condition: StoreCondition
  /// How the last of each operation went, by its name: nil where it went well. Those that were never asked for are
  /// missing.
  package var lastErrors: [String: StoreError?] = [:]

  package init(_ condition: StoreCondition) { self.condition = condition }

  /// The operations, each with whether it can be done now. What is refused alone leaves the others good.
  package var operations: [(name: String, isGood: Bool)] {
    let refusals = Set(lastErrors.values.compactMap { $0?.isRefusal == true ? $0?.reason : nil })
    let isWithinReach = condition.problem.map(refusals.contains) ?? true
    return lastErrors.sorted { $0.key < $1.key }.map { ($0.key, $0.value == nil && isWithinReach) }
  }

  /// What the store refused to do when it was last asked to, though it is within reach; the first of it.
  var refusal: String? {
    lastErrors.sorted { $0.key < $1.key }.lazy.compactMap { $0.value?.isRefusal == true ? $0.value?.reason : nil }.first
  }
}
