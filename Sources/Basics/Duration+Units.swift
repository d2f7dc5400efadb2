extension Duration {
  /// Whole milliseconds, rounded towards zero.
  package var milliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }

  /// Whole seconds, rounded up, and 0 for what is past.
  package var wholeSecondsUp: Int {
    let (seconds, attoseconds) = components
    return max(0, Int(seconds) + (attoseconds > 0 ? 1 : 0))
  }
}
