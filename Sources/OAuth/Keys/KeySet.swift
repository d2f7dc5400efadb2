import Basics
import FoundationEssentials
import JWTKit

/// A server's public signing keys (RFC 7517): those in its document that can be used to verify, and no others.
struct KeySet: Sendable {
  private struct Key: Sendable {
    let id: String?
    let jwk: JWK
  }

  private let keys: [Key]
  /// What the keys for signing are for that cannot be used here: their algorithm, curve or type. Sorted.
  let unusable: [String]

  /// The length in base64url of an RSA modulus of 2,048 bits. Smaller ones are not accepted (RFC 7518 §3.3).
  private static let minModulusLength = 342

  /// Reads a JWKS document. Keys that are not for verifying, or not understood, are left out.
  /// Throws if it is no JWKS at all.
  init(json: [UInt8]) throws {
    let entries = try JSONDecoder().decode(Document.self, from: Data(json)).keys.filter(\.isForVerifying)
    keys = entries.compactMap { entry in
      entry.jwk.flatMap { Self.isUsable($0) ? Key(id: $0.keyIdentifier?.string, jwk: $0) : nil }
    }
    unusable = entries.filter { !($0.jwk.map(Self.isUsable) ?? false) }.compactMap(\.purpose).sorted()
  }

  /// Whether the key is of a kind that tokens are verified with.
  private static func isUsable(_ jwk: JWK) -> Bool {
    if let algorithm = jwk.algorithm, !TokenValidator.algorithms.values.contains(algorithm) { return false }
    switch jwk.keyType {
    case .rsa: return (jwk.modulus ?? "").utf8.count >= minModulusLength
    case .octetKeyPair: return jwk.curve?.rawValue == "Ed25519" && Base64URL.decode(jwk.x ?? "")?.count == 32
    default: return jwk.curve != nil
    }
  }

  var isEmpty: Bool { keys.isEmpty }

  /// The names of the keys; nil where they do not tell which tokens can still be checked, because there are no keys or
  /// one has no name.
  var ids: Set<String>? {
    let ids = keys.compactMap(\.id)
    return ids.isEmpty || ids.count < keys.count ? nil : Set(ids)
  }

  /// What each key is for: its algorithm, or its family if it names none. Sorted.
  var purposes: [String] {
    keys.map { $0.jwk.algorithm?.rawValue ?? ($0.jwk.keyType == .rsa ? "RSA" : $0.jwk.curve?.rawValue ?? "EC") }
      .sorted()
  }

  /// The keys that may have signed a token with this header: by `kid` where it names one, of the family that
  /// `algorithm` belongs to, and for no other algorithm.
  func candidates(kid: String?, algorithm: JWK.Algorithm) -> [JWK] {
    keys.filter { key in
      (kid == nil || key.id == kid) && (key.jwk.algorithm ?? algorithm) == algorithm
        && key.jwk.keyType == Self.family(of: algorithm) && Self.curve(of: algorithm) == key.jwk.curve?.rawValue
    }.map(\.jwk)
  }

  var descriptions: [KeySetStatus.Key] {
    keys.map { key in
      let kind = [key.jwk.keyType.rawValue, key.jwk.curve?.rawValue].compactMap(\.self).joined(separator: " ")
      return .init(id: key.id.map { PrintableText.text($0) }, algorithm: key.jwk.algorithm?.rawValue ?? kind)
    }
  }

  private static func family(of algorithm: JWK.Algorithm) -> JWK.KeyType {
    algorithm == .eddsa ? .octetKeyPair : algorithm.rawValue.hasPrefix("ES") ? .ecdsa : .rsa
  }

  private static func curve(of algorithm: JWK.Algorithm) -> String? {
    ["ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"][algorithm.rawValue]
  }

  private struct Document: Decodable { let keys: [Entry] }

  /// One key; what cannot be read of it is nil, so that it does not spoil the others.
  private struct Entry: Decodable {
    let jwk: JWK?
    let use: String?
    /// What it is for, or what it is, in the document's words.
    let purpose: String?
    private let hasPublicHalf: Bool

    /// Whether it is, or may be, the public half of a key for signing.
    var isForVerifying: Bool { (use == nil || use == "sig") && hasPublicHalf }

    enum CodingKeys: CodingKey {
      case use, kty, alg, crv, kid, x, d
    }

    init(from decoder: any Decoder) throws {
      let members = try? decoder.container(keyedBy: CodingKeys.self)
      func text(_ name: CodingKeys) -> String? { try? members?.decodeIfPresent(String.self, forKey: name) }
      use = text(.use)
      hasPublicHalf = text(.kty) != "oct" && members?.contains(.d) == false
      purpose = (text(.alg) ?? text(.crv) ?? text(.kty)).map { PrintableText.text($0, limit: 20) }
      if text(.alg) == "Ed25519" {
        // RFC 9864's name, which the decoder does not know.
        jwk =
          text(.crv) == "Ed25519" && text(.kty) == "OKP"
          ? JWK.octetKeyPair(
            .eddsa, identifier: text(.kid).map { JWKIdentifier(string: $0) }, x: text(.x), y: nil, curve: .ed25519)
          : nil
      } else {
        jwk = try? JWK(from: decoder)
      }
    }
  }
}
