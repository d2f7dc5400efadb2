import Basics
import Crypto
import CryptoExtras
import FoundationEssentials

/// A public key, made ready once to verify the signatures of any number of tokens.
enum VerificationKey: Sendable {
  case rsa(_RSA.Signing.PublicKey)
  case p256(P256.Signing.PublicKey)
  case p384(P384.Signing.PublicKey)
  case p521(P521.Signing.PublicKey)
  case ed25519(Curve25519.Signing.PublicKey)

  struct Unusable: Error {}

  /// An RSA key of at least 2,048 bits (RFC 7518 §6.3.1); throws for any other.
  init(modulus: String?, exponent: String?) throws {
    self = .rsa(try _RSA.Signing.PublicKey(n: try Self.bytes(modulus), e: try Self.bytes(exponent)))
  }

  /// A key on a curve, by its coordinates (RFC 7518 §6.2.1, RFC 8037 §2). Throws for another curve than those above,
  /// and for what is no point on its curve.
  init(curve: String?, x: String?, y: String?) throws {
    func point() throws -> [UInt8] { [0x04] + (try Self.bytes(x)) + (try Self.bytes(y)) }
    switch curve {
    case "P-256": self = .p256(try P256.Signing.PublicKey(x963Representation: try point()))
    case "P-384": self = .p384(try P384.Signing.PublicKey(x963Representation: try point()))
    case "P-521": self = .p521(try P521.Signing.PublicKey(x963Representation: try point()))
    case "Ed25519": self = .ed25519(try Curve25519.Signing.PublicKey(rawRepresentation: try Self.bytes(x)))
    default: throw Unusable()
    }
  }

  /// base64url, or as some servers write it: in the standard alphabet, or padded.
  private static func bytes(_ text: String?) throws -> [UInt8] {
    let digits = (text ?? "").utf8.prefix { $0 != UInt8(ascii: "=") }.map { digit in
      switch digit {
      case UInt8(ascii: "+"): UInt8(ascii: "-")
      case UInt8(ascii: "/"): UInt8(ascii: "_")
      default: digit
      }
    }
    guard let bytes = Base64URL.decode(digits[...]) else { throw Unusable() }
    return bytes
  }

  /// The algorithms that keys of its kind are for.
  var algorithms: [SignatureAlgorithm] {
    switch self {
    case .rsa: [.rs256, .rs384, .rs512, .ps256, .ps384, .ps512]
    case .p256: [.es256]
    case .p384: [.es384]
    case .p521: [.es512]
    case .ed25519: [.eddsa]
    }
  }

  /// Its kind in the words of RFC 7517 §4.1, and its curve.
  var kind: (type: String, curve: String?) {
    switch self {
    case .rsa: ("RSA", nil)
    case .p256: ("EC", "P-256")
    case .p384: ("EC", "P-384")
    case .p521: ("EC", "P-521")
    case .ed25519: ("OKP", "Ed25519")
    }
  }

  /// Whether the key has signed `text` by this algorithm.
  func isValid(_ signature: [UInt8], of text: ArraySlice<UInt8>, by algorithm: SignatureAlgorithm) -> Bool {
    switch (self, algorithm) {
    case (.rsa(let key), .rs256): Self.isValid(signature, SHA256.hash(data: text), key, .insecurePKCS1v1_5)
    case (.rsa(let key), .rs384): Self.isValid(signature, SHA384.hash(data: text), key, .insecurePKCS1v1_5)
    case (.rsa(let key), .rs512): Self.isValid(signature, SHA512.hash(data: text), key, .insecurePKCS1v1_5)
    case (.rsa(let key), .ps256): Self.isValid(signature, SHA256.hash(data: text), key, .PSS)
    case (.rsa(let key), .ps384): Self.isValid(signature, SHA384.hash(data: text), key, .PSS)
    case (.rsa(let key), .ps512): Self.isValid(signature, SHA512.hash(data: text), key, .PSS)
    case (.p256(let key), .es256):
      (try? P256.Signing.ECDSASignature(rawRepresentation: signature)).map { key.isValidSignature($0, for: text) }
        ?? false
    case (.p384(let key), .es384):
      (try? P384.Signing.ECDSASignature(rawRepresentation: signature)).map { key.isValidSignature($0, for: text) }
        ?? false
    case (.p521(let key), .es512):
      (try? P521.Signing.ECDSASignature(rawRepresentation: signature)).map { key.isValidSignature($0, for: text) }
        ?? false
    case (.ed25519(let key), .eddsa): key.isValidSignature(signature, for: text)
    default: false
    }
  }

  private static func isValid(
    _ signature: [UInt8], _ digest: some Digest, _ key: _RSA.Signing.PublicKey, _ padding: _RSA.Signing.Padding
  ) -> Bool {
    key.isValidSignature(_RSA.Signing.RSASignature(rawRepresentation: signature), for: digest, padding: padding)
  }
}
