/// What was asked of a store so far.
package struct StoreFigures: Sendable {
  package struct Outcome: Hashable, Sendable {
    package let operation: StoreOperation
    package let isOK: Bool

    package init(operation: StoreOperation, isOK: Bool) {
      self.operation = operation
      self.isOK = isOK
    }
  }

  package var outcomes: [Outcome: Int] = [:]
  /// Values that did not open, or whose tokens did not pass.
  package var ignored = 0
  package var condition: StoreCondition

  package init(_ condition: StoreCondition) { self.condition = condition }
}
