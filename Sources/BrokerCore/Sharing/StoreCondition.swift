/// What is asked of a store, as far as it may be refused by itself.
package enum StoreOperation: String, CaseIterable, Comparable, Sendable {
  /// Values are looked up.
  case load
  /// The right to make a value is claimed, and kept.
  case claim
  /// Values are left, and claims given up.
  case save
  /// Values are taken out.
  case remove
  /// What others give up is heard of at once.
  case listen

  package static func < (left: StoreOperation, right: StoreOperation) -> Bool { left.place < right.place }

  private var place: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}

/// How a store is, as metrics, the status page and `check` show it.
package struct StoreCondition: Sendable {
  /// Such as `file:/var/lib/token-broker/tokens` or `redis://cache.internal:6379/0`, without a password.
  package var location: String
  /// Why it is out of reach; nil while it is not.
  package var problem: String?
  /// What it does not do though it is within reach, each with what it answers.
  package var refusals: [StoreOperation: String]
  /// What somebody should look at though it can be used.
  package var notice: String?

  package init(
    location: String, problem: String?, refusals: [StoreOperation: String] = [:], notice: String? = nil
  ) {
    self.location = location
    self.problem = problem
    self.refusals = refusals
    self.notice = notice
  }

  /// Whether it can be asked to do this.
  package func can(_ operation: StoreOperation) -> Bool { problem == nil && refusals[operation] == nil }

  /// What it does not do, with the reasons: `claim, save: EVAL was refused: … (NOPERM)`; nil where that is nothing.
  package var refusal: String? {
    if refusals.isEmpty { return nil }
    let byReason = Dictionary(grouping: refusals.keys.sorted()) { refusals[$0] ?? "" }
    return byReason.sorted { $0.value[0] < $1.value[0] }.map { reason, operations in
      "\(operations.map(\.rawValue).joined(separator: ", ")): \(reason)"
    }.joined(separator: "; ")
  }
}
