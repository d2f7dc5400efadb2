/// Something that is as it was configured, and can never work, or not as it was meant.
package struct ConfigurationWarning: Sendable {
  /// A setting, a variable of the environment, or an address that is listened on.
  package let subject: String
  package var isAddress = false
  /// Where that is set; nil if it is not known.
  package var source: String?
  package let message: String
  /// What a person can do about it.
  package let remedy: String

  /// Whether it is the same warning, wherever the setting stands now.
  package func repeats(_ other: ConfigurationWarning) -> Bool { subject == other.subject && message == other.message }
}
