/// A value in a YAML document, and where it stands.
struct YAMLNode: Sendable {
  enum Content: Sendable {
    /// `isPlain`: written without quotes, so that `null` and the like have their meaning.
    case scalar(String, isPlain: Bool)
    case sequence([YAMLNode])
    case mapping([Member])
  }

  /// A key with its value, in the order of the document; the same key may stand there twice.
  struct Member: Sendable {
    let key: String
    let mark: Mark
    let value: YAMLNode
  }

  /// A place in a document; both count from 1.
  struct Mark: Sendable, CustomStringConvertible {
    let line: Int
    let column: Int

    var description: String { "\(line):\(column)" }
  }

  let content: Content
  let mark: Mark

  /// Nothing stands there, or what YAML takes for nothing.
  var isNull: Bool {
    if case .scalar(let text, isPlain: true) = content { return ["", "~", "null", "Null", "NULL"].contains(text) }
    return false
  }
}

/// A document that cannot be read: where, and why.
struct YAMLError: Error {
  let mark: YAMLNode.Mark
  let reason: String
}
