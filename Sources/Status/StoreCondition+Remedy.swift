package import BrokerCore

extension StoreCondition {
  /// What becomes of what the store refuses, and what to do about it.
  package var refusalRemedy: String {
    let isOnlyRemoval = refusals.keys.allSatisfy { $0 == .remove }
    let isOnlyDelay = refusals.keys.allSatisfy { $0 == .listen || $0 == .remove }
    let consequence =
      if isOnlyRemoval {
        "Tokens that are thrown away stay there. "
      } else if isOnlyDelay {
        "Who waits for another broker's token looks for it again and again, instead of being told. "
      } else {
        "Callers are served, but each broker mints for itself, and anew after a restart. "
      }
    return consequence
      + "By what it answers: give its user the rights in docs/fleet.md, make room, or send writes to the primary. "
      + "What is refused is tried again every few seconds."
  }
}
