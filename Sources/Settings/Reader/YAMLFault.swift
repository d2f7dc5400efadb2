/// What libyaml has found wrong, said at the place where it has to be mended and in words that tell how. It quotes
/// nothing of the document but characters that no secret begins with.
struct YAMLFault {
  let problem: String
  let mark: YAMLNode.Mark
  /// What was being read, and where that begins.
  let context: String
  let contextMark: YAMLNode.Mark
  /// The document.
  let text: [UInt8]

  private var isUnclosedQuote: Bool {
    context == "while scanning a quoted scalar" && problem.hasPrefix("found unexpected")
  }
  private var isKeyAlone: Bool { context == "while scanning a simple key" }

  /// libyaml notices what is not closed, or no key, only when the next line begins.
  var place: YAMLNode.Mark { isUnclosedQuote || isKeyAlone ? contextMark : mark }

  var words: String {
    if isUnclosedQuote { return "the quote that opens here is not closed" }
    if isKeyAlone { return "expected a colon and a space behind this key (key: value)" }
    switch (problem, context) {
    case ("found character that cannot start any token", _):
      guard let character else { return problem }
      if character == "\t" { return "a tab; expected spaces, which alone indent YAML" }
      return "a value that begins with '\(character)' needs quotes"
    case ("did not find expected key", "while parsing a block mapping"):
      return "expected a key here, indented as the one at \(contextMark); if it is, a quote above is not closed"
    case ("did not find expected '-' indicator", _):
      return "expected a '-' here, indented as the one at \(contextMark); if it is, a quote above is not closed"
    case ("mapping values are not allowed in this context", _):
      return
        "no key can end in this colon: the line above lacks a space behind its colon, this one is indented further, "
        + "or it has a value with ': ' in it, which needs quotes"
    case (let problem, "while parsing a flow mapping"), (let problem, "while parsing a flow sequence"):
      return "\(problem), to go on with what opens at \(contextMark)"
    default: return problem.isEmpty ? "it cannot be read" : problem
    }
  }

  /// At the place, if it is one of those that no plain value begins with.
  private var character: Character? {
    let lines = text.split(omittingEmptySubsequences: false) { $0 == 0x0A }
    guard mark.line <= lines.count else { return nil }
    let line = String(decoding: lines[mark.line - 1], as: UTF8.self).unicodeScalars.dropFirst(mark.column - 1)
    return line.first.flatMap { "\t@`%".unicodeScalars.contains($0) ? Character($0) : nil }
  }
}
