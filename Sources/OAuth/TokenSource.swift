package import Basics
package import HTTPClient
import JWTKit

/// How a token is checked before it is kept.
package enum Verification: Sendable {
  /// As a JWT, against the tenant's key set.
  case jwt
  /// Not at all: for an API whose tokens are opaque or encrypted, so that only the API can read them.
  case opaque
}

/// Mints tokens for one client: asks its token endpoint, and checks what comes back.
package final class TokenSource: Sendable {
  let client: OAuthClient
  private let http: HTTPClient
  let endpoints: EndpointSource
  let keys: KeySetSource
  /// The key set each time it has been read. It has one reader at the most.
  package let keySetChanges: AsyncStream<KeySetChange>

  private let timeout: Duration
  /// How long to wait for a key set that cannot be read, before a token is asked for.
  private static let keySetTimeout = Duration.seconds(5)

  package convenience init(client: OAuthClient, connection: ServerConnection) throws(HTTPClient.Failure) {
    self.init(client: client, http: try HTTPClient(connection), timeout: connection.timeout)
  }

  /// `timeout` is for one request to the token endpoint.
  init(client: OAuthClient, http: HTTPClient, timeout: Duration = .seconds(10)) {
    self.client = client
    self.timeout = timeout
    self.http = http
    let (changes, continuation) = AsyncStream<KeySetChange>.makeStream(bufferingPolicy: .bufferingNewest(1))
    keySetChanges = changes
    let endpoints = EndpointSource(client: client, http: http)
    self.endpoints = endpoints
    keys = KeySetSource(http: http) {
      continuation.yield($0)
    } makeRequest: { () async throws(KeySetSource.NotAskable) in
      guard let url = await endpoints.known?.jwksURL else { throw .init(description: "its address is not known") }
      return KeySetSource.request(url)
    }
  }

  /// Reads the key set again once it is no longer fresh, so that a revoked key is noticed. `isNeeded` says whether
  /// tokens are held that are signed with its keys: then it is also read where this source has read none yet, because
  /// others have minted them, such as the source before this one.
  package func pollKeySet(isNeeded: Bool) async {
    if isNeeded { _ = try? await endpoints.endpoints(by: .now.advanced(by: Self.keySetTimeout)) }
    await keys.poll(isNeeded: isNeeded)
  }

  /// A new, validated token for `grant`, by `deadline`. A token that does not pass has still been counted by the
  /// tenant. With `credentials` the client's own are not used, and a refusal of them is `invalidCaller`. `trace` is
  /// told to the token endpoint.
  package func mint(
    _ grant: Grant, verify verification: Verification = .jwt, as credentials: PassThroughCredentials? = nil,
    in trace: TraceContext? = nil, deadline: Instant
  ) async throws(TokenError) -> MintedToken {
    let endpoints = try await endpoints.endpoints(by: deadline)
    var issuer: String?
    if verification == .jwt {
      guard let expected = endpoints.issuer, endpoints.jwksURL != nil else { throw .noIssuer }
      issuer = expected
      // A token that could not be checked is not asked for. In an outage nobody is to wait long to hear that.
      let soon = min(deadline, Instant.now.advanced(by: Self.keySetTimeout))
      try await withKeys(by: soon) { () async throws(KeySetSource.Unavailable) in try await keys.recover() }
    }
    let response = try await request(grant, to: endpoints.tokenURL, as: credentials, in: trace, deadline: deadline)
    do throws(TokenError) {
      let answer = try TokenResponse(response)
      // `expires_in` counts from when the answer was made, which is not before it was asked for.
      var expiresAt = answer.expiresIn.map { response.requestedAt.advanced(by: .seconds($0)) }
      var keyID: String?
      if let issuer {
        let proof = try await verify(
          answer.accessToken, of: issuer, for: grant, asked: response.requestedAt, deadline: deadline)
        expiresAt = min(proof.expiresAt, expiresAt ?? proof.expiresAt)
        keyID = proof.keyID
      }
      guard let expiresAt else {
        throw TokenError(
          cause: .invalidUpstreamResponse, message: "the tenant's answer does not say how long its opaque token lives")
      }
      return MintedToken(
        accessToken: answer.accessToken, scope: answer.scope, keyID: keyID, mintedAt: response.requestedAt,
        expiresAt: expiresAt, quota: QuotaBucket.all(in: response), upstreamRequestID: response.upstreamRequestID)
    } catch {
      throw error.with(response)
    }
  }

  private func error(_ refusal: Refusal, ofClient isClients: Bool) -> TokenError {
    var error = refusal.tokenError(now: Int(WallClock.now))
    if !isClients, refusal.isOfCredentials {
      error.cause = .invalidCaller
      error.message = "the tenant refuses the credentials that the caller gave"
    }
    return error
  }

  /// Credentials that are tried for one token at the most.
  private static let mostCredentials = 4

  /// The answer with a token, asked for with the client's credentials: where its newest secret is refused, with the
  /// older one, because while a secret is rotated either may be the one accepted. What counts is what is current when a
  /// refusal arrives: it says nothing of a secret that has come meanwhile. Throws the last refusal.
  private func request(
    _ grant: Grant, to tokenURL: String, as passedOn: PassThroughCredentials?, in trace: TraceContext?,
    deadline: Instant
  ) async throws(TokenError) -> HTTPClient.Response {
    let token = TokenEndpointRequest(
      tokenURL: tokenURL, clientID: passedOn?.clientID ?? client.clientID, parameters: client.dialect.parameters(grant))
    var refused: Refusal?
    var tried: [Credential] = []
    while tried.count < Self.mostCredentials, let credential = try credential(after: tried, passedOn) {
      tried.append(credential)
      let response = try await exchange(token, as: credential, in: trace, deadline: deadline)
      if response.status == 200 {
        if passedOn == nil, let secret = credential.secret { client.secrets?.accepted(secret) }
        return response
      }
      let refusal = Refusal(response, hiding: Redaction(credential, of: token.clientID))
      refused = refusal
      if !refusal.isOfCredentials { break }
    }
    guard let refused else { throw TokenError(cause: .brokerMisconfigured, message: "the client has no secret") }
    throw error(refused, ofClient: passedOn == nil)
  }

  /// The first of the credentials that are worth trying now and were not tried. Where the tenant has refused a new
  /// secret and then the old one, which it used to take, it has been given the new one in between.
  private func credential(
    after tried: [Credential], _ passedOn: PassThroughCredentials?
  ) throws(TokenError) -> Credential? {
    let authentication = client.authentication
    let candidates =
      if let passedOn { [passedOn.credential(authentication.basicEncoding)] } else { try authentication.candidates() }
    if let next = candidates.first(where: { one in !tried.contains { $0.isSame(as: one) } }) { return next }
    guard tried.count == 2, let old = tried[1].secret, client.secrets?.wasAccepted(old) == true,
      let newest = candidates.first, !newest.isSame(as: tried[1])
    else { return nil }
    return newest
  }

  /// Sends the request, and again where a connection that was kept has ended under it. Each time it is made anew, for
  /// the tenant may have read the one before: it would refuse an assertion that it has seen.
  private func exchange(
    _ token: TokenEndpointRequest, as credential: Credential, in trace: TraceContext?, deadline: Instant
  ) async throws(TokenError) -> HTTPClient.Response {
    var attempt = 0
    while true {
      let left = Instant.now.duration(to: deadline)
      guard left > .zero else { throw .timedOut }
      var request = try await token.authenticated(by: credential, timeout: min(left, timeout))
      if let trace { request.headers.append(("traceparent", trace.traceparent)) }
      request.attempt = attempt
      do throws(HTTPClient.Failure) {
        return try await http.send(request)
      } catch {
        guard error.kind == .lost else { throw TokenError(error) }
        attempt += 1
      }
    }
  }

  // MARK: Validation

  /// Checks a token that was kept, by `deadline`, as when it was minted. Where the key set cannot be read the token
  /// passes without that: it was checked before it was kept, and an outage of the tenant must not take away what is
  /// held. When the set is read again, `keySetChanges` tells which keys have left it.
  package func revalidate(
    for kept: StoredToken, _ grant: Grant, verify verification: Verification = .jwt, deadline: Instant
  ) async throws(TokenError) -> MintedToken {
    guard kept.mintedAt <= WallClock.now + TokenValidator.leeway else {
      throw TokenError(ValidationError("it was minted in the future, so one of two clocks is wrong", .time))
    }
    func token(_ keyID: String? = nil, _ expiry: Instant? = nil) -> MintedToken {
      MintedToken(kept, keyID: keyID, expiry: expiry, now: .now, wallNow: WallClock.now)
    }
    guard verification == .jwt else { return token() }
    // Learns where the key set is, if that is not known yet and can be.
    _ = try? await endpoints.endpoints(by: deadline)
    guard let issuer = client.issuer else { throw .noIssuer }
    let validator = TokenValidator(issuer: issuer)
    do throws(ValidationError) {
      let header = try validator.header(of: kept.accessToken)
      let candidates: [JWK]
      do throws(KeySetSource.Unavailable) {
        candidates = try await keys.candidates(
          kid: header.keyID, algorithm: header.algorithm, asked: token().mintedAt, by: deadline)
      } catch {
        return token(header.keyID)
      }
      let (now, wallNow) = (Instant.now, WallClock.now)
      let exp = try await validator.claims(
        of: kept.accessToken, header, audience: client.checksAudience ? grant.audience : nil, candidates: candidates,
        now: wallNow
      ).exp
      return token(header.keyID, MintedToken.instant(of: exp, now: now, wallNow: wallNow))
    } catch {
      throw TokenError(error, of: kept.accessToken)
    }
  }

  private func verify(
    _ token: AccessToken, of issuer: String, for grant: Grant, asked: Instant, deadline: Instant
  ) async throws(TokenError) -> (keyID: String?, expiresAt: Instant) {
    let validator = TokenValidator(issuer: issuer)
    let header: TokenValidator.Header
    do throws(ValidationError) {
      header = try validator.header(of: token)
    } catch {
      throw TokenError(error, of: token)
    }
    let candidates = try await withKeys(by: deadline) { () async throws(KeySetSource.Unavailable) in
      try await keys.candidates(kid: header.keyID, algorithm: header.algorithm, asked: asked)
    }
    // Read together, before any wait: an instant read later would make the token seem to live longer.
    let (now, wallNow) = (Instant.now, WallClock.now)
    let exp: Double
    do throws(ValidationError) {
      exp = try await validator.claims(
        of: token, header, audience: client.checksAudience ? grant.audience : nil, candidates: candidates, now: wallNow
      ).exp
    } catch {
      throw TokenError(error, of: token)
    }
    return (header.keyID, MintedToken.instant(of: exp, now: now, wallNow: wallNow))
  }

  /// Tries `read` until it has its keys, or throws when that could not be before `deadline`. A token that was minted
  /// meanwhile waits with it: a new one would fare no better.
  private func withKeys<Result: Sendable>(
    by deadline: Instant, _ read: () async throws(KeySetSource.Unavailable) -> Result
  ) async throws(TokenError) -> Result {
    while true {
      do throws(KeySetSource.Unavailable) {
        return try await read()
      } catch {
        // The key set says when it may be read again, and nothing that could be waited for happens before.
        guard error.retryAt < deadline, (try? await Task.sleep(until: error.retryAt)) != nil else {
          throw TokenError(error)
        }
      }
    }
  }
}

extension TokenError {
  fileprivate static var noIssuer: TokenError {
    var error = TokenError(
      cause: .brokerMisconfigured,
      message: "the client has no issuer with a key set, so that only opaque tokens can be had")
    error.flaw = .uncheckable
    return error
  }

  fileprivate init(_ error: KeySetSource.Unavailable) {
    self.init(
      cause: .upstreamUnavailable,
      message: "the tenant's signing keys cannot be read, so its token cannot be checked: \(error.reason)",
      retryAfter: max(.zero, Instant.now.duration(to: error.retryAt)))
  }

  /// Why `token` is refused, and what it says of itself.
  init(_ error: ValidationError, of token: AccessToken? = nil) {
    self.init(cause: .tokenValidationFailed, message: "the tenant's token is refused: \(error.reason)")
    flaw = error.flaw
    evidence = token.flatMap { Evidence(of: $0) }
  }
}
