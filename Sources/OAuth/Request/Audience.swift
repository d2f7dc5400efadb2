/// What an audience may be: an opaque text that is matched byte for byte.
package enum Audience {
  package static let maxBytes = 2048

  /// What is wrong with `audience`, in words for a person; nil if nothing is.
  package static func problem(with audience: some StringProtocol) -> String? {
    if audience.isEmpty { return "the audience is empty" }
    if audience.utf8.count > maxBytes { return "the audience is over \(maxBytes) bytes" }
    if audience.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) {
      return "the audience holds a control character"
    }
    return nil
  }
}
