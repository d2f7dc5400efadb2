import Basics

/// An access token. It prints as `<redacted>`; only `bytes` and `value` show it.
package struct AccessToken: Sendable, Equatable {
  package let bytes: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { self.bytes = bytes }

  package init(_ value: String) { bytes = ArraySlice(value.utf8) }

  /// A copy, which should not be kept.
  package var value: String { String(decoding: bytes, as: UTF8.self) }

  /// SHA-256 of the token, in lower-case hexadecimal: how callers and logs may name it.
  package var sha256: String { SHA256Digest(of: bytes.span).hex }

  /// Another one in each process. Taken of the bytes at once, where an array hashes each by itself.
  var seededHash: Int {
    var hasher = Hasher()
    unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    return hasher.finalize()
  }

  static let maxBytes = 32 * 1024

  /// Whether the text is a token that cannot break out of a header, a list in one, a quoted string or a log line: the
  /// `VSCHAR` of RFC 6749 appendix A.12 but space, `"`, `\` and `,`.
  package static func isWellFormed(_ text: String) -> Bool {
    let bytes = text.utf8.span
    if bytes.isEmpty || bytes.count > maxBytes { return false }
    for index in bytes.indices where !mayHave(bytes[index]) { return false }
    return true
  }

  private static func mayHave(_ byte: UInt8) -> Bool {
    0x21...0x7E ~= byte && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: ",") && byte != UInt8(ascii: "\\")
  }
}

extension AccessToken: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { "<redacted>" }
  package var debugDescription: String { "<redacted>" }
  package var customMirror: Mirror { Mirror(self, children: []) }
}
