import Basics
import FoundationEssentials
import JWTKit

/// A token that must not be used, and why.
struct ValidationError: Error, Equatable {
  let reason: String
  let flaw: TokenFlaw?
  /// Whether it lived until a moment ago.
  var hasJustEnded = false

  init(_ reason: String, _ flaw: TokenFlaw? = nil) {
    self.reason = reason
    self.flaw = flaw
  }
}

/// Checks an access token as its API would (RFC 9068 §4, RFC 7519 §7.2), with nothing taken on trust from the token.
struct TokenValidator {
  /// What `iss` must be.
  let issuer: String

  /// Signatures by public keys only: never `none`, and never HS*, which could be checked against public bytes.
  static let algorithms: [String: JWK.Algorithm] = [
    "RS256": .rs256, "RS384": .rs384, "RS512": .rs512, "PS256": .ps256, "PS384": .ps384, "PS512": .ps512,
    "ES256": .es256, "ES384": .es384, "ES512": .es512,
    // RFC 8037's word, and RFC 9864's for the one curve of it that is accepted.
    "EdDSA": .eddsa, "Ed25519": .eddsa,
  ]
  /// How far the tenant's clock may be ahead, in seconds. It counts for `iat` and `nbf`, not for `exp`.
  static let leeway = 60.0
  /// How long ago a token may have expired that a server repeats until it ends by its own clock, in seconds.
  private static let moment = 5.0

  struct Header: Equatable {
    let keyID: String?
    let algorithm: JWK.Algorithm
  }

  /// Reads what is needed to choose a key, and refuses what cannot be a signed token.
  func header(of token: AccessToken) throws(ValidationError) -> Header {
    let segments = token.value.split(separator: ".", omittingEmptySubsequences: false)
    switch segments.count {
    case 3: break
    case 5: throw ValidationError("it is encrypted (JWE), so it cannot be checked", .unreadable)
    default: throw ValidationError("it is no JWT: it has \(segments.count) segments, not 3", .unreadable)
    }
    guard AccessToken.isB64Token(token.value) else {
      throw ValidationError("it has characters that no JWT has", .unreadable)
    }
    guard let bytes = Base64URL.decode(segments[0]),
      let fields = try? JSONDecoder().decode(HeaderFields.self, from: Data(bytes)), !JSONKeys.areAmbiguous(in: bytes)
    else { throw ValidationError("its header cannot be read", .unreadable) }
    guard let algorithm = Self.algorithms[fields.alg] else {
      throw ValidationError("it is signed with an algorithm that is not accepted", .algorithm)
    }
    if fields.crit != nil { throw ValidationError("its header has extensions that must be understood (crit)") }
    return Header(keyID: fields.kid, algorithm: algorithm)
  }

  /// Checks signature and claims and returns the claims. `now` is Unix time in seconds; without an `audience`, `aud` is
  /// not checked.
  func claims(
    of token: AccessToken, _ header: Header, audience: String?, candidates: [JWK], now: Double
  ) async throws(ValidationError) -> AccessTokenClaims {
    if candidates.isEmpty {
      throw ValidationError("it is signed with a key that the tenant does not publish", .signature)
    }
    let claims = try await verify(token, header, candidates)
    if hasAmbiguousClaims(token) { throw ValidationError("it makes a claim twice") }
    guard claims.iss.hasSameBytes(as: issuer) else { throw ValidationError("its issuer is not \(issuer)", .issuer) }
    if let audience, claims.aud?.values.contains(where: audience.hasSameBytes) != true {
      throw ValidationError("it is not for the audience", .audience)
    }
    guard claims.exp > now else {
      var error = ValidationError("it has expired", .time)
      error.hasJustEnded = claims.iat.map { $0 < claims.exp } ?? true && claims.exp > now - Self.moment
      throw error
    }
    if let issued = claims.iat, issued > now + Self.leeway {
      throw ValidationError("it was issued in the future", .time)
    }
    if let start = claims.nbf, start > now + Self.leeway { throw ValidationError("it is not valid yet", .time) }
    if claims.hasConfirmation {
      throw ValidationError("it is bound to a sender's key (cnf), so nobody else can use it", .bound)
    }
    return claims
  }

  private func hasAmbiguousClaims(_ token: AccessToken) -> Bool {
    let segments = token.value.split(separator: ".", omittingEmptySubsequences: false)
    guard segments.count == 3, let bytes = Base64URL.decode(segments[1]) else { return true }
    return JSONKeys.areAmbiguous(in: bytes)
  }

  private func verify(
    _ token: AccessToken, _ header: Header, _ candidates: [JWK]
  ) async throws(ValidationError) -> AccessTokenClaims {
    let bytes = Array(token.value.utf8)
    for var jwk in candidates {
      // One key to a collection: it would fall back to a default for a kid it does not know.
      jwk.algorithm = header.algorithm
      jwk.keyIdentifier = jwk.keyIdentifier ?? "unnamed"
      let keys = JWTKeyCollection()
      guard (try? await keys.add(jwk: jwk)) != nil else { continue }
      if let claims = try? await keys.verify(bytes, as: AccessTokenClaims.self) { return claims }
    }
    throw ValidationError("its signature or its claims are not valid", .signature)
  }

  private struct HeaderFields: Decodable {
    let alg: String
    let kid: String?
    let crit: [String]?
  }
}

/// The claims that decide whether a token may be used.
struct AccessTokenClaims: JWTPayload {
  let iss: String
  let aud: Audience?
  let sub: String?
  let exp: Double
  let iat: Double?
  let nbf: Double?
  let hasConfirmation: Bool

  /// A string or an array of them (RFC 7519 §4.1.3).
  struct Audience: Codable {
    let values: [String]

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      values = try (try? [container.decode(String.self)]) ?? container.decode([String].self)
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      try container.encode(values)
    }
  }

  enum CodingKeys: String, CodingKey {
    case iss, aud, sub, exp, iat, nbf
    case hasConfirmation = "cnf"
  }

  init(from decoder: any Decoder) throws {
    let claims = try decoder.container(keyedBy: CodingKeys.self)
    iss = try claims.decode(String.self, forKey: .iss)
    aud = try claims.decodeIfPresent(Audience.self, forKey: .aud)
    sub = try? claims.decode(String.self, forKey: .sub)
    exp = try claims.decode(Double.self, forKey: .exp)
    iat = try claims.decodeIfPresent(Double.self, forKey: .iat)
    nbf = try claims.decodeIfPresent(Double.self, forKey: .nbf)
    hasConfirmation = claims.contains(.hasConfirmation)
  }

  /// Claims are checked by `TokenValidator`, against a clock that tests can set.
  func verify(using algorithm: some JWTAlgorithm) async throws {}
}
