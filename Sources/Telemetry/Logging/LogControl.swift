import Logging
import Synchronization

/// How log lines are written, while that may change: looked at for each line, and by the event loops for each request
/// of which there might be one.
package final class LogControl: Sendable {
  private static let levels = Logger.Level.allCases
  /// The settings, in one number.
  private let state: Atomic<Int>

  package init(_ settings: LogSettings) { state = Atomic(Self.number(of: settings)) }

  package func apply(_ settings: LogSettings) { state.store(Self.number(of: settings), ordering: .relaxed) }

  var settings: LogSettings {
    let number = state.load(ordering: .relaxed)
    return LogSettings(
      level: Self.levels[number >> 2], format: number & 1 == 0 ? .json : .text, audits: number & 2 != 0)
  }

  private static func number(of settings: LogSettings) -> Int {
    (levels.firstIndex(of: settings.level) ?? 0) << 2 | (settings.audits ? 2 : 0) | (settings.format == .json ? 0 : 1)
  }
}
