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

  /// The length in base64url of an RSA modulus of 2,048 bits. Smaller ones are not accepted (RFC 7518 §3.3).
  private static let minModulusLength = 342

  /// Reads a JWKS document. Keys that are not for verifying, or not understood, are left out.
  /// Throws if it is no JWKS at all.
  init(json: [UInt8]) throws {
    keys = try JSONDecoder().decode(Document.self, from: Data(json)).keys.compactMap { entry in
      guard let jwk = entry.jwk, entry.use == nil || entry.use == "sig", jwk.privateExponent == nil else { return nil }
      if jwk.keyType == .rsa, (jwk.modulus ?? "").utf8.count < Self.minModulusLength { return nil }
      return Key(id: jwk.keyIdentifier?.string, jwk: jwk)
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
    algorithm.rawValue.hasPrefix("ES") ? .ecdsa : .rsa
  }

  private static func curve(of algorithm: JWK.Algorithm) -> String? {
    ["ES256": "P-256", "ES384": "P-384", "ES512": "P-521"][algorithm.rawValue]
  }

  private struct Document: Decodable { let keys: [Entry] }

  /// One key; what cannot be read of it is nil, so that it does not spoil the others.
  private struct Entry: Decodable {
    let jwk: JWK?
    let use: String?

    enum CodingKeys: CodingKey { case use }

    init(from decoder: any Decoder) throws {
      jwk = try? JWK(from: decoder)
      use = try? decoder.container(keyedBy: CodingKeys.self).decodeIfPresent(String.self, forKey: .use)
    }
  }
}
