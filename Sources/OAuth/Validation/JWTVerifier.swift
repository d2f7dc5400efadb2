package import Basics
package import HTTPClient

/// Checks the signed tokens of one issuer for one audience, such as Kubernetes' projected service account tokens, as
/// strictly as those that are minted.
package final class JWTVerifier: Sendable {
  /// Where the issuer's public keys are.
  package enum Keys: Sendable {
    /// A JWKS document at a URL. `bearerToken` makes the token to ask for it with, for each request anew, because
    /// Kubernetes replaces it; `http` says whose certificates are believed.
    case remote(url: String, bearerToken: BearerToken? = nil, http: HTTPClient)
    /// A JWKS document.
    case document([UInt8])

    package typealias BearerToken = @Sendable () throws(InvalidSetting) -> Secret
  }

  /// What a token says that has passed.
  package struct VerifiedToken: Sendable, Equatable {
    /// Its `sub`, which is not empty.
    package let subject: String
    package let expiresAt: Instant
  }

  /// Why a token does not pass.
  package enum Failure: Error, Equatable {
    /// It is no proof; the reason says nothing that is in it.
    case refused(reason: String)
    /// The issuer's keys cannot be had; asking again may help after `retryAfter`. The evidence is for operators.
    case unavailable(reason: String, evidence: Evidence?, retryAfter: Duration)
  }

  private enum Source {
    case remote(KeySetSource)
    case document(KeySet)
  }

  /// Whose tokens they are.
  package let issuer: String
  private let validator: TokenValidator
  private let audience: String
  private let source: Source

  /// `audience` is what `aud` must contain. Throws for a URL that is not https, or http to this machine itself, and for
  /// a document without a key.
  package init(issuer: String, audience: String, keys: Keys) throws(InvalidSetting) {
    self.issuer = issuer
    validator = TokenValidator(issuer: issuer)
    self.audience = audience
    switch keys {
    case .remote(let url, let bearerToken, let http):
      try Endpoints.check(url, "jwksURL")
      source = .remote(
        KeySetSource(http: http) { () throws(KeySetSource.NotAskable) in
          KeySetSource.request(url, authorization: try bearerToken.map(Self.authorization))
        })
    case .document(let json):
      guard let keys = try? KeySet(json: json), !keys.isEmpty else {
        throw InvalidSetting("jwksFile", "expected a JWKS document with a public key to verify signatures with")
      }
      source = .document(keys)
    }
  }

  private static func authorization(_ bearerToken: Keys.BearerToken) throws(KeySetSource.NotAskable) -> Secret {
    let token: Secret
    do throws(InvalidSetting) {
      token = try bearerToken()
    } catch {
      throw KeySetSource.NotAskable(description: "the file with the token for it: \(error.reason)")
    }
    let scheme = "Bearer "
    return Secret(capacity: scheme.utf8.count + token.count) { writer in
      writer.append(scheme.utf8)
      writer.append(token)
    }
  }

  /// Checks a token's signature and claims. Waits for the issuer's keys until `deadline`, but not for a key that it has
  /// just been asked for in vain.
  package func verify(_ token: [UInt8], deadline: Instant) async throws(Failure) -> VerifiedToken {
    let text = String(decoding: token, as: UTF8.self)
    guard AccessToken.isWellFormed(text) else { throw .refused(reason: "it is empty, too long, or no token") }
    let jwt: JWT
    do throws(ValidationError) { jwt = try JWT(AccessToken(text)) } catch { throw .refused(reason: error.reason) }
    let candidates = try await candidates(for: jwt, by: deadline)
    // Read together: an instant read later would make the token seem to live longer.
    let (now, wallNow) = (Instant.now, WallClock.now)
    do throws(ValidationError) {
      let claims = try validator.claims(of: jwt, audience: audience, candidates: candidates, now: wallNow)
      guard let subject = claims.sub, !subject.isEmpty else { throw ValidationError("it has no subject (sub)") }
      return VerifiedToken(subject: subject, expiresAt: MintedToken.instant(of: claims.exp, now: now, wallNow: wallNow))
    } catch {
      throw .refused(reason: error.reason)
    }
  }

  /// Reads the issuer's keys, unless what is known of them is fresh, so that it shows before callers come whether they
  /// can be had.
  package func pollKeys() async { if case .remote(let keys) = source { await keys.poll(isNeeded: true) } }

  /// The issuer's keys as they are known.
  package var keySet: KeySetStatus {
    get async {
      switch source {
      case .document(let keys):
        return KeySetStatus(keys: keys.descriptions, fetchedAt: nil, problem: nil, nextFetch: nil)
      case .remote(let keys): return await keys.status
      }
    }
  }

  private func candidates(for token: JWT, by deadline: Instant) async throws(Failure) -> [KeySet.Key] {
    switch source {
    case .document(let keys): return keys.candidates(kid: token.keyID, algorithm: token.algorithm)
    case .remote(let keys):
      do throws(KeySetSource.Unavailable) {
        return try await keys.candidates(kid: token.keyID, algorithm: token.algorithm, by: deadline)
      } catch {
        throw .unavailable(
          reason: "the keys of its issuer cannot be read: \(error.problem.reason)",
          evidence: error.problem.evidence,
          retryAfter: max(.zero, Instant.now.duration(to: error.retryAt)))
      }
    }
  }
}
