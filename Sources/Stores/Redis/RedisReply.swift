/// What a server answers in RESP2, the protocol that every version of Redis and Valkey speaks: a value, or an array.
enum RedisReply: Sendable, Equatable {
  case string([UInt8])
  case status(String)
  /// The server's own words, which are never shown: they can repeat what it was sent.
  case error(String)
  case integer(Int64)
  case none
  case array([RedisReply])
}

extension RedisReply {
  /// The kind of reply that a command has when it is not refused.
  enum Kind: Sendable {
    case status, integer
    /// An array with one value, which may be missing.
    case value
    /// An array of any kind.
    case array
    /// Any number of texts, or nothing.
    case texts
  }

  func isAnswer(of kind: Kind) -> Bool {
    switch (kind, self) {
    case (_, .error), (.status, .status), (.integer, .integer), (.array, .array): true
    case (.texts, .none): true
    case (.texts, .array(let parts)): parts.allSatisfy { $0.text != nil }
    case (.value, .array(let parts)): parts.count == 1 && parts[0].isValue
    default: false
    }
  }

  /// A string that is a text.
  var text: String? {
    if case .string(let bytes) = self { return String(validating: bytes, as: UTF8.self) }
    return nil
  }

  private var isValue: Bool {
    switch self {
    case .string, .none: true
    default: false
    }
  }
}
