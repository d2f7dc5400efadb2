/// How a token may be signed (RFC 7518 §3.1, RFC 8037 §3.1). These have public keys: there is no `none`, and no HS*,
/// which could be checked against public bytes.
enum SignatureAlgorithm: String, CaseIterable, Sendable {
  case rs256 = "RS256"
  case rs384 = "RS384"
  case rs512 = "RS512"
  case ps256 = "PS256"
  case ps384 = "PS384"
  case ps512 = "PS512"
  case es256 = "ES256"
  case es384 = "ES384"
  case es512 = "ES512"
  /// With the one curve of it that is accepted, Ed25519.
  case eddsa = "EdDSA"

  /// nil for the name of any other algorithm, in another case for instance.
  init?(name: String) {
    // RFC 9864's name for it.
    self.init(rawValue: name == "Ed25519" ? "EdDSA" : name)
  }
}
