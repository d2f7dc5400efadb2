import Basics

/// A token with the form of a signed JWT (RFC 7515 §7.1), taken apart. Nothing that it says is checked.
struct JWT {
  let algorithm: SignatureAlgorithm
  /// The name of the key that it says it is signed with.
  let keyID: String?
  /// JSON, perhaps.
  let claims: [UInt8]
  let signature: [UInt8]
  /// What the signature is of.
  let signedText: ArraySlice<UInt8>

  /// Refuses what cannot be a signed token, or is signed in a way that is not accepted.
  init(_ token: AccessToken) throws(ValidationError) {
    let bytes = Array(token.bytes)
    let segments = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    switch segments.count {
    case 3: break
    case 5: throw ValidationError("it is encrypted (JWE), so it cannot be checked", .unreadable)
    default: throw ValidationError("it is no JWT: it has \(segments.count) segments, not 3", .unreadable)
    }
    guard bytes.allSatisfy(Self.mayHave) else {
      throw ValidationError("it has characters that no JWT has", .unreadable)
    }
    guard let header = try? Header(segments[0]) else { throw ValidationError("its header cannot be read", .unreadable) }
    guard let algorithm = SignatureAlgorithm(name: header.algorithm) else {
      throw ValidationError("it is signed with an algorithm that is not accepted", .algorithm)
    }
    if header.hasExtensions {
      throw ValidationError("its header has extensions that must be understood (crit)")
    }
    keyID = header.keyID
    self.algorithm = algorithm
    // What is no base64url is no JSON either, and no signature.
    claims = Base64URL.decode(segments[1]) ?? []
    signature = Base64URL.decode(segments[2]) ?? []
    signedText = bytes[..<segments[1].endIndex]
  }

  private struct Header {
    let algorithm: String
    let keyID: String?
    let hasExtensions: Bool

    init(_ segment: ArraySlice<UInt8>) throws {
      let header = try JSONObject(Base64URL.decode(segment) ?? [])
      guard let algorithm = try header.text("alg") else { throw JSONObject.WrongType() }
      self.algorithm = algorithm
      keyID = try header.text("kid")
      hasExtensions = header.contains("crit")
    }
  }

  private static func mayHave(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."): true
    default: false
    }
  }
}
