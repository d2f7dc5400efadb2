/// What an HTTP/2 client says first (RFC 9113 §3.4), on a port that knows of no ALPN.
enum Preface {
  static let bytes: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

  enum Match {
    case none
    /// Nothing yet that tells it from HTTP/1.
    case partial
    case whole
  }

  static func match(_ received: Span<UInt8>) -> Match {
    let count = min(received.count, bytes.utf8CodeUnitCount)
    let matches = bytes.withUTF8Buffer { expected in
      for index in 0..<count where unsafe received[index] != expected[index] { return false }
      return true
    }
    if !matches { return .none }
    return count == bytes.utf8CodeUnitCount ? .whole : .partial
  }
}
