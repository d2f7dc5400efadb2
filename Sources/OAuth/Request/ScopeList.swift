/// A list of scopes (RFC 6749 §3.3).
package enum ScopeList {
  /// Each scope once, sorted, so that the order of asking makes no other token; nil if `text` is no list of scopes.
  package static func canonical(_ text: String) -> String? {
    let scopes = Set(text.split(separator: " "))
    let isScope = { (byte: UInt8) in
      byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
    }
    guard !scopes.isEmpty, scopes.allSatisfy({ $0.utf8.allSatisfy(isScope) }) else { return nil }
    return scopes.sorted().joined(separator: " ")
  }
}
