/// What a template or a shell was to put something in place of: `${A}`, `$(A)` or `{{ a }}`. Nothing is expanded here.
enum UnexpandedVariable {
  static let words =
    "it looks like a variable, and none is expanded here; see what was to fill it in, or use the setting's own "
    + "variable or file"

  /// Whether the whole of a text, in UTF-8, is one. It makes no copy, for it may be a secret.
  static func isOne(_ text: Span<UInt8>) -> Bool {
    guard text.count > 3 else { return false }
    let ends = (text[0], text[1], text[text.count - 1])
    let kinds =
      [("$", "{", "}"), ("$", "(", ")"), ("{", "{", "}")] as [(Unicode.Scalar, Unicode.Scalar, Unicode.Scalar)]
    return kinds.contains { ends == (UInt8(ascii: $0.0), UInt8(ascii: $0.1), UInt8(ascii: $0.2)) }
  }
}
