import Basics
import Foundation

@testable import OAuth

extension FuzzTarget {
  /// A token, from a tenant or from a caller.
  static let jwt = FuzzTarget(name: "jwt") { bytes in
    let text = String(decoding: bytes, as: UTF8.self)
    let token = AccessToken(text)
    guard let jwt = try? JWT(token) else { return }
    let segments = text.split(separator: ".", omittingEmptySubsequences: false)
    try promise("a token has three segments", segments.count == 3)
    // Another reader of JSON.
    let json = try? JSONSerialization.jsonObject(with: Data(Base64URL.decode(segments[0]) ?? []))
    guard let fields = json as? [String: Any] else { return }
    let name = fields["alg"] as? String
    try promise("it says so itself", (name == "Ed25519" ? "EdDSA" : name) == jwt.algorithm.rawValue)
    let kid = (fields["kid"] as? String).map { Array($0.utf8) }
    try promise("and names the key", kid == jwt.keyID.map { Array($0.utf8) })
    try promise("it demands nothing that is not understood", fields["crit"] == nil)
    if try KnownTokens.accepts(token, by: try KeySet(json: KnownTokens.keySet)) {
      let known = [KnownTokens.rs256, KnownTokens.es256].map(parts)
      try promise("only what was signed passes: \(text)", known.contains(parts(of: token)))
    }
  }

  /// What is signed, and the signature as bytes: its text can end in more than one way.
  private static func parts(of token: AccessToken) -> [[UInt8]?] {
    let segments = token.value.split(separator: ".", omittingEmptySubsequences: false)
    return segments.dropLast().map { Array($0.utf8) } + segments.suffix(1).map { Base64URL.decode($0) }
  }
}
