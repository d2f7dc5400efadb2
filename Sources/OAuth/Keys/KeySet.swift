import Basics
import FoundationEssentials

/// A server's public signing keys (RFC 7517): those in its document that can be used to verify, and no others.
struct KeySet: Sendable {
  struct Key: Sendable {
    let id: String?
    /// The one that it is for, if it says so.
    let algorithm: SignatureAlgorithm?
    let key: VerificationKey

    fileprivate func isFor(_ algorithm: SignatureAlgorithm) -> Bool {
      (self.algorithm ?? algorithm) == algorithm && key.algorithms.contains(algorithm)
    }
  }

  private let keys: [Key]
  /// What the keys for signing are for that cannot be used here: their algorithm, curve or type. Sorted.
  let unusable: [String]

  /// Reads a JWKS document. Keys that are not for verifying, or not understood, are left out.
  /// Throws if it is no JWKS at all.
  init(json: [UInt8]) throws {
    let entries = try JSONDecoder().decode(Document.self, from: Data(json)).keys.filter(\.isForVerifying)
    keys = entries.compactMap(\.key)
    unusable = entries.filter { $0.key == nil }.compactMap(\.purpose).sorted()
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
    keys.map { $0.algorithm?.rawValue ?? $0.key.kind.curve ?? $0.key.kind.type }.sorted()
  }

  /// The keys that may have signed a token with this header: by `kid` where it names one, of the kind that `algorithm`
  /// belongs to, and for no other algorithm.
  func candidates(kid: String?, algorithm: SignatureAlgorithm) -> [Key] {
    keys.filter { (kid == nil || $0.id == kid) && $0.isFor(algorithm) }
  }

  var descriptions: [KeySetStatus.Key] {
    keys.map { key in
      let kind = [key.key.kind.type, key.key.kind.curve].compactMap(\.self).joined(separator: " ")
      return .init(id: key.id.map { PrintableText.text($0) }, algorithm: key.algorithm?.rawValue ?? kind)
    }
  }

  private struct Document: Decodable { let keys: [Entry] }

  /// One key; what cannot be read of it is nil, so that it does not spoil the others.
  private struct Entry: Decodable {
    /// nil for one that tokens cannot be verified with here.
    let key: Key?
    let use: String?
    /// What it is for, or what it is, in the document's words.
    let purpose: String?
    private let hasPublicHalf: Bool

    /// Whether it is, or may be, the public half of a key for signing.
    var isForVerifying: Bool { (use == nil || use == "sig") && hasPublicHalf }

    init(from decoder: any Decoder) throws {
      let members = try? decoder.container(keyedBy: Member.self)
      func text(_ name: Member) -> String? { try? members?.decodeIfPresent(String.self, forKey: name) }
      use = text(.use)
      hasPublicHalf = text(.kty) != "oct" && members?.contains(.d) == false
      purpose = (text(.alg) ?? text(.crv) ?? text(.kty)).map { PrintableText.text($0, limit: 20) }
      key = try? members.map { try Key($0) }
    }
  }
}

private enum Member: CodingKey {
  case use, kty, alg, crv, kid, n, e, x, y, d
}

extension KeySet.Key {
  /// Throws for a key, or an algorithm, that tokens are not verified with.
  fileprivate init(_ members: KeyedDecodingContainer<Member>) throws {
    func text(_ name: Member) throws -> String? { try members.decodeIfPresent(String.self, forKey: name) }
    id = try text(.kid)
    let name = try text(.alg)
    algorithm = name.flatMap { SignatureAlgorithm(name: $0) }
    let kind = try text(.kty)
    key =
      kind == "RSA"
      ? try VerificationKey(modulus: try text(.n), exponent: try text(.e))
      : try VerificationKey(curve: try text(.crv), x: try text(.x), y: try text(.y))
    guard key.kind.type == kind, name == nil || algorithm.map(isFor) == true else { throw VerificationKey.Unusable() }
  }
}
