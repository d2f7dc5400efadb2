import Glibc
import JWTKit

/// Mints tokens for one client: asks its token endpoint, and vouches for what comes back.
package final class TokenSource: Sendable {
  private let client: OAuthClient
  private let http: HTTPClient
  private let keys: KeySetSource
  private let validator: TokenValidator

  /// For one request to the token endpoint.
  private static let timeout = Duration.seconds(10)

  package init(client: OAuthClient, http: HTTPClient) {
    self.client = client
    self.http = http
    keys = KeySetSource(url: client.jwksURL, http: http)
    validator = TokenValidator(issuer: client.issuer)
  }

  /// A new, validated token for `grant`, by `deadline`. A token that does not pass has still been counted by the tenant.
  package func mint(
    _ grant: Grant, deadline: ContinuousClock.Instant
  ) async throws(TokenError) -> MintedToken {
    let response = try await request(grant, deadline: deadline)
    guard response.status == 200 else { throw Refusal(response).tokenError(now: time(nil)) }
    do throws(TokenError) {
      let answer = try TokenResponse(response)
      let proof = try await verify(answer.accessToken, for: grant, deadline: deadline)
      return MintedToken(
        accessToken: answer.accessToken, scope: answer.scope, keyID: proof.keyID, mintedAt: response.requestedAt,
        expiresAt: Self.end(expiresIn: answer.expiresIn, proof, requestedAt: response.requestedAt),
        quota: QuotaBucket.all(in: response), upstreamRequestID: response.upstreamRequestID)
    } catch {
      throw error.with(response)
    }
  }

  /// Asks with the newest secret and, where that is refused, with the older one: while a secret is rotated either may be
  /// the one accepted.
  private func request(
    _ grant: Grant, deadline: ContinuousClock.Instant
  ) async throws(TokenError) -> HTTPClient.Response {
    var refused: HTTPClient.Response?
    for secret in client.secrets {
      let left = ContinuousClock.now.duration(to: deadline)
      guard left > .zero else { throw .timedOut }
      let request = HTTPClient.Request(
        url: client.tokenURL,
        headers: [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")],
        body: grant.body(clientID: client.clientID, secret: secret), timeout: min(left, Self.timeout))
      do throws(HTTPClient.Failure) {
        let response = try await http.send(request)
        if response.status != 401 { return response }
        refused = response
      } catch {
        throw TokenError(error)
      }
    }
    guard let refused else { throw TokenError(code: .brokerMisconfigured, message: "the client has no secret") }
    return refused
  }

  // MARK: Validation

  /// What a token's own signature vouches for.
  private struct Proof {
    let keyID: String?
    /// `exp` seen from now, in monotonic time: a step of the wall clock does not move it.
    let expiresAt: ContinuousClock.Instant
  }

  private func verify(
    _ token: AccessToken, for grant: Grant, deadline: ContinuousClock.Instant
  ) async throws(TokenError) -> Proof {
    let header: TokenValidator.Header
    do throws(ValidationError) {
      header = try validator.header(of: token)
    } catch {
      throw TokenError(error)
    }
    let candidates = try await candidates(for: header, deadline: deadline)
    do throws(ValidationError) {
      let now = Double(time(nil))
      let exp = try await validator.validate(token, header, audience: grant.audience, candidates: candidates, now: now)
      let left = min(exp - now, Double(TokenResponse.maxLifetime))
      return Proof(keyID: header.keyID, expiresAt: ContinuousClock.now.advanced(by: .seconds(left)))
    } catch {
      throw TokenError(error)
    }
  }

  /// While the key set cannot be had the token is held and the keys are asked for again; a new token would fare no better.
  private func candidates(
    for header: TokenValidator.Header, deadline: ContinuousClock.Instant
  ) async throws(TokenError) -> [JWK] {
    while true {
      do throws(KeySetSource.Unavailable) {
        return try await keys.candidates(kid: header.keyID, algorithm: header.algorithm)
      } catch {
        guard error.retryAt < deadline, (try? await Task.sleep(until: error.retryAt, clock: .continuous)) != nil else {
          throw TokenError(
            code: .upstreamUnavailable,
            message: "the tenant's signing keys cannot be read, so its token cannot be checked",
            retryAfter: .seconds(1))
        }
      }
    }
  }

  /// `expires_in` counts from when the answer was made, which is not before it was asked for.
  private static func end(
    expiresIn: Int?, _ proof: Proof, requestedAt: ContinuousClock.Instant
  ) -> ContinuousClock.Instant {
    guard let expiresIn else { return proof.expiresAt }
    return min(proof.expiresAt, requestedAt.advanced(by: .seconds(expiresIn)))
  }
}

extension TokenError {
  init(_ error: ValidationError) {
    self.init(code: .tokenValidationFailed, message: "the tenant's token is refused: \(error.reason)")
  }
}
