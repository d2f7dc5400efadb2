@testable import Settings

extension FuzzTarget {
  /// A YAML document.
  static let yaml = FuzzTarget(name: "yaml") { bytes in
    let root: YAMLNode?
    do throws(YAMLError) {
      root = try YAMLParser.parse(bytes)
    } catch {
      try promise("a mark is in the document: \(error.mark)", error.mark.line <= bytes.count + 2)
      try promise("a reason is told", !error.reason.isEmpty)
      return
    }
    guard let root else { return }
    try check(root, lines: bytes.count + 2)
    let text = root.rewritten
    let again: YAMLNode?
    do throws(YAMLError) {
      again = try YAMLParser.parse(Array(text.utf8))
    } catch {
      throw BrokenPromise(description: "what was read can be written: \(text) \(error)")
    }
    try promise("it is read as written: \(text)", again?.rewritten == text)
  }

  private static func check(_ node: YAMLNode, lines: Int, depth: Int = 0) throws {
    try promise("it is not too deep", depth <= 33)
    try promise("a mark is in the document: \(node.mark)", (1...lines).contains(node.mark.line) && node.mark.column > 0)
    switch node.content {
    case .scalar: break
    case .sequence(let elements): for element in elements { try check(element, lines: lines, depth: depth + 1) }
    case .mapping(let members): for member in members { try check(member.value, lines: lines, depth: depth + 1) }
    }
  }
}

extension YAMLNode {
  /// In YAML's flow style, with everything but nulls in quotes.
  fileprivate var rewritten: String {
    switch content {
    case .scalar(let text, let isPlain): isPlain && isNull ? "null" : Self.quoted(text)
    case .sequence(let elements): "[\(elements.map(\.rewritten).joined(separator: ","))]"
    case .mapping(let members):
      "{\(members.map { "? \(Self.quoted($0.key)) : \($0.value.rewritten)" }.joined(separator: ","))}"
    }
  }

  private static func quoted(_ text: String) -> String {
    let scalars = text.unicodeScalars.map { scalar in
      let digits = String(scalar.value, radix: 16)
      return "\\U" + String(repeating: "0", count: 8 - digits.count) + digits
    }
    return "\"\(scalars.joined())\""
  }
}
