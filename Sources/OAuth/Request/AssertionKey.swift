package import Basics
import JWTKit

/// A private key that a client signs its assertions with, and how. It prints as `<redacted>`.
package struct AssertionKey: Sendable {
  package enum Algorithm: String, Sendable, CaseIterable {
    case rs256 = "RS256"
    case ps256 = "PS256"
    case es256 = "ES256"
  }

  private enum Material {
    case rsa(Insecure.RSA.PrivateKey)
    case p256(ES256PrivateKey)
  }

  package let algorithm: Algorithm
  /// The `kid` under which the server knows the public key.
  package let keyID: String?
  private let material: Material

  /// Reads an RSA key of at least 2,048 bits (PKCS#8 or PKCS#1) or a P-256 one (PKCS#8 or SEC 1) from PEM; whatever
  /// else the text holds is skipped. `algorithm` is RS256 or ES256 where it is not given. No error quotes the key.
  package init(pem: Secret, algorithm: Algorithm? = nil, keyID: String? = nil) throws(InvalidSetting) {
    material = try Self.material(pem)
    let usual: Algorithm =
      switch material {
      case .rsa: .rs256
      case .p256: .es256
      }
    self.algorithm = algorithm ?? usual
    self.keyID = keyID
    if (self.algorithm == .es256) != (usual == .es256) {
      let kind = usual == .es256 ? "an EC" : "an RSA"
      throw Self.invalid("it is \(kind) key, which does not sign with \(self.algorithm.rawValue)")
    }
  }

  private static func material(_ pem: Secret) throws(InvalidSetting) -> Material {
    // The libraries read PEM from strings only. Theirs and this one are freed here, though not wiped.
    let text = pem.withBytes { bytes in String(decoding: bytes.indices.map { bytes[$0] }, as: UTF8.self) }
    guard
      let match = text.firstMatch(of: /-----BEGIN ((?:RSA |EC |ENCRYPTED )?PRIVATE KEY)-----[\s\S]*?-----END \1-----/)
    else { throw invalid("expected a private key in PEM") }
    if match.1.hasPrefix("ENCRYPTED") || match.0.contains("Proc-Type:") {
      throw invalid("it is encrypted; expected a private key without a passphrase")
    }
    if let key = try? ES256PrivateKey(pem: String(match.0)) { return .p256(key) }
    if let key = try? Insecure.RSA.PrivateKey(pem: String(match.0)) { return .rsa(key) }
    throw invalid("expected an RSA key of at least 2048 bits, or an EC key on the curve P-256")
  }

  private static func invalid(_ reason: String) -> InvalidSetting { InvalidSetting("privateKeyFile", reason) }

  /// The payload as a signed JWT.
  func sign(_ payload: some JWTPayload) async throws -> String {
    let keys = JWTKeyCollection()
    switch (material, algorithm) {
    case (.p256(let key), _): await keys.add(ecdsa: key)
    case (.rsa(let key), .ps256): await keys.add(pss: key, digestAlgorithm: .sha256)
    case (.rsa(let key), _): await keys.add(rsa: key, digestAlgorithm: .sha256)
    }
    var header = JWTHeader()
    // As nil it would be there as null, and its value must be a string (RFC 7515 §4.1.4).
    if let keyID { header.kid = keyID }
    return try await keys.sign(payload, header: header)
  }
}

extension AssertionKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { "<redacted>" }
  package var debugDescription: String { "<redacted>" }
  package var customMirror: Mirror { Mirror(self, children: []) }
}
