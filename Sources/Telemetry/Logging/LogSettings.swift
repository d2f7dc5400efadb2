package import Logging

/// How log lines are written.
package struct LogSettings: Sendable {
  package enum Format: String, CaseIterable, Sendable { case json, text }

  package var level: Logger.Level
  package var format: Format
  /// A line for each token that an authenticated caller is given.
  package var audits: Bool

  package init(level: Logger.Level = .info, format: Format = .json, audits: Bool = true) {
    self.level = level
    self.format = format
    self.audits = audits
  }
}
