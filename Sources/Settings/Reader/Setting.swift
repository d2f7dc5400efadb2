/// A setting that the configuration may have, as the reader met it: whether it is set or not.
package struct Setting: Sendable, Hashable {
  /// As in the file, with `*` for a name that the file chooses.
  package let key: String
  /// The variable that stands for it.
  package let variable: String?
  package let effect: Effect

  /// When a change of it counts.
  package enum Effect: String, Sendable {
    /// As soon as the configuration is read again.
    case live
    /// The same, but while the process runs it cannot be given up: what it closes stays closed, even if the file lost
    /// it.
    case liveOnlyNarrowed = "live_only_narrowed"
    case nextStart = "next_start"
  }
}

/// A setting as it is in force.
package struct EffectiveSetting: Sendable {
  /// As in the file.
  package let key: String
  package let value: String
  /// `default`, a variable of the environment, or a place in the file.
  package let source: String
  package let effect: Setting.Effect
}
