import Basics
import Crypto
import CryptoExtras
import FoundationEssentials

/// An RS256 key pair.
struct SigningKey: Sendable {
  let id: String
  private let key: _RSA.Signing.PrivateKey

  init() throws { try self.init(_RSA.Signing.PrivateKey(keySize: .bits2048)) }

  init(pem: String) throws { try self.init(_RSA.Signing.PrivateKey(pemRepresentation: pem)) }

  private init(_ key: _RSA.Signing.PrivateKey) throws {
    self.key = key
    id = Base64URL.encode(SHA256.hash(data: key.publicKey.derRepresentation).prefix(12))
  }

  var pem: String { key.pemRepresentation }

  /// Signs as RS256 (RFC 7518 §3.3).
  func sign(_ input: [UInt8]) throws -> [UInt8] {
    Array(try key.signature(for: SHA256.hash(data: input), padding: .insecurePKCS1v1_5).rawRepresentation)
  }

  /// HS256 with the public key's PEM for a secret: what a verifier accepts that lets the token choose the algorithm.
  func confuse(_ input: [UInt8]) -> [UInt8] {
    let secret = SymmetricKey(data: Data(key.publicKey.pemRepresentation.utf8))
    return Array(HMAC<SHA256>.authenticationCode(for: input, using: secret))
  }

  /// The public half as a JWK (RFC 7517).
  func jwk() throws -> [UInt8] {
    let primitives = try key.publicKey.getKeyPrimitives()
    return JSONText.object([
      ("kty", JSONText.string("RSA")), ("use", JSONText.string("sig")), ("alg", JSONText.string("RS256")),
      ("kid", JSONText.string(id)), ("n", JSONText.string(Base64URL.encode(primitives.modulus))),
      ("e", JSONText.string(Base64URL.encode(primitives.publicExponent))),
    ])
  }
}
