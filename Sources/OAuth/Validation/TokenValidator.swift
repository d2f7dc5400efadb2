import Basics

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

  /// How far the tenant's clock may be ahead, in seconds. It counts for `iat` and `nbf`, not for `exp`.
  static let leeway = 60.0
  /// How long ago a token may have expired that a server repeats until it ends by its own clock, in seconds.
  private static let moment = 5.0

  /// Checks signature and claims and returns the claims. `now` is Unix time in seconds; without an `audience`, `aud` is
  /// not checked.
  func claims(
    of token: JWT, audience: String?, candidates: [KeySet.Key], now: Double
  ) throws(ValidationError) -> AccessTokenClaims {
    if candidates.isEmpty {
      throw ValidationError("it is signed with a key that the tenant does not publish", .signature)
    }
    guard candidates.contains(where: { $0.hasSigned(token) }) else { throw Self.invalid }
    let claims = try read(token)
    guard claims.iss.hasSameBytes(as: issuer) else { throw ValidationError("its issuer is not \(issuer)", .issuer) }
    if let audience, !claims.aud.contains(where: audience.hasSameBytes) {
      throw ValidationError("it is not for the audience", .audience)
    }
    guard claims.exp > now else {
      var error = ValidationError("by this machine's clock it has expired", .time)
      error.hasJustEnded = claims.iat.map { $0 < claims.exp } ?? true && claims.exp > now - Self.moment
      throw error
    }
    if let issued = claims.iat, issued > now + Self.leeway {
      throw ValidationError("by this machine's clock it was issued in the future", .time)
    }
    if let start = claims.nbf, start > now + Self.leeway {
      throw ValidationError("by this machine's clock it is not valid yet", .time)
    }
    if claims.hasConfirmation {
      throw ValidationError("it is bound to a sender's key (cnf), so nobody else can use it", .bound)
    }
    return claims
  }

  private func read(_ token: JWT) throws(ValidationError) -> AccessTokenClaims {
    do {
      return try AccessTokenClaims(try JSONObject(token.claims))
    } catch JSONObject.Flaw.repeatedName {
      throw ValidationError("it makes a claim twice")
    } catch {
      throw Self.invalid
    }
  }

  private static let invalid = ValidationError("its signature or its claims are not valid", .signature)
}

extension KeySet.Key {
  fileprivate func hasSigned(_ token: JWT) -> Bool {
    key.isValid(token.signature, of: token.signedText, by: token.algorithm)
  }
}

/// The claims that decide whether a token may be used.
struct AccessTokenClaims {
  let iss: String
  /// A string or an array of them (RFC 7519 §4.1.3).
  let aud: [String]
  let sub: String?
  let exp: Double
  let iat: Double?
  let nbf: Double?
  let hasConfirmation: Bool

  /// Throws where one of them that has to be there is not, or one has another type than it should.
  fileprivate init(_ claims: JSONObject) throws(JSONObject.WrongType) {
    guard let iss = try claims.text("iss"), let exp = try claims.number("exp") else { throw JSONObject.WrongType() }
    (self.iss, self.exp) = (iss, exp)
    aud = try claims.texts("aud") ?? []
    sub = try? claims.text("sub")
    iat = try claims.number("iat")
    nbf = try claims.number("nbf")
    hasConfirmation = claims.contains("cnf")
  }
}
