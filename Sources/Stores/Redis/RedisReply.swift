/// What a server answers in RESP2, the protocol that every version of Redis and Valkey speaks: a value, or one level of
/// array.
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
    /// This many values, each of which may be missing.
    case values(Int)
    /// An integer, and then this many values.
    case claim(Int)
  }

  func isAnswer(of kind: Kind) -> Bool {
    switch (kind, self) {
    case (_, .error), (.status, .status), (.integer, .integer): return true
    case (.values(let count), .array(let parts)): return parts.count == count && parts.allSatisfy(\.isValue)
    case (.claim(let count), .array(let parts)):
      guard case .integer? = parts.first else { return false }
      return parts.count == count + 1 && parts.dropFirst().allSatisfy(\.isValue)
    default: return false
    }
  }

  private var isValue: Bool {
    switch self {
    case .string, .none: true
    default: false
    }
  }
}
