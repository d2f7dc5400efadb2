package import Basics
package import HTTPClient

/// How a token is checked before it is kept.
package enum Verification: Sendable {
  /// As a JWT, against the tenant's key set.
  case jwt
  /// Not at all: for an API whose tokens are opaque or encrypted, so that only the API can read them.
  case opaque
}

/// Mints tokens for one client: asks its token endpoint, and checks what comes back.
package final class TokenSource: Sendable {
  /// What tokens are minted by. Those who mint had best run on it, too: then that wakes no other thread.
  package static var executor: any SerialExecutor & TaskExecutor { HTTPClient.executor }

  let client: OAuthClient
  let http: HTTPClient
  let endpoints: EndpointSource
  let keys: KeySetSource
  /// The key set each time it has been read. It has one reader at the most.
  package let keySetChanges: AsyncStream<KeySetChange>

  let timeout: Duration
  private let memory: TokenMemory
  /// How long to wait for a key set that cannot be read, before a token is asked for.
  private static let keySetTimeout = Duration.seconds(5)

  /// `predecessor` has asked the same server as the same client, before its configuration changed: which tokens are
  /// repeated is known from it and, where the same is asked for in the same way, which wait for their keys.
  package convenience init(
    client: OAuthClient, connection: ServerConnection, after predecessor: TokenSource? = nil
  ) throws(HTTPClient.Failure) {
    let memory = predecessor.map { $0.client.identity == client.identity ? $0.memory : TokenMemory(knowing: $0.memory) }
    self.init(
      client: client, http: try HTTPClient(connection), timeout: connection.timeout, memory: memory ?? TokenMemory())
  }

  /// `timeout` is for one request to the token endpoint.
  init(
    client: OAuthClient, http: HTTPClient, timeout: Duration = .seconds(10), memory: TokenMemory = TokenMemory()
  ) {
    self.client = client
    self.memory = memory
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
  /// tenant. One whose keys are out of reach is held: until it can be checked, or ends, the tenant is not asked for
  /// another. With `credentials` the client's own are not used, and a refusal of them is
  /// `invalidCaller`; `holder` tells them apart from others'. `trace` is told to the token endpoint.
  package func mint(
    _ grant: Grant, verify verification: Verification = .jwt, as credentials: PassThroughCredentials? = nil,
    holder: SHA256Digest? = nil, in trace: TraceContext? = nil, deadline: Instant
  ) async throws(TokenError) -> MintedToken {
    let endpoints = try await endpoints.endpoints(by: deadline)
    let key = TokenMemory.Key(grant: grant, holder: credentials == nil ? nil : holder ?? .nobody)
    guard verification == .jwt else {
      let (token, response) = try await ask(grant, endpoints, as: credentials, in: trace, deadline: deadline)
      do throws(TokenError) {
        return try opaque(token, key)
      } catch {
        throw error.with(response, after: token.resends)
      }
    }
    guard let issuer = endpoints.issuer, endpoints.jwksURL != nil else { throw .noIssuer }
    if let token = try await checkHeld(key, of: issuer, deadline: deadline) { return token }
    // A token that could not be checked is not asked for. In an outage nobody is to wait long to hear that.
    try await recoverKeys(by: min(deadline, Instant.now.advanced(by: Self.keySetTimeout)))
    let (token, response) = try await ask(grant, endpoints, as: credentials, in: trace, deadline: deadline)
    do throws(TokenError) {
      return try await check(token, of: issuer, for: key, deadline: deadline)
    } catch {
      throw error.with(response, after: token.resends)
    }
  }

  /// Where the tenant publishes its keys; nil where that is not known by the deadline.
  package func keySetURL(by deadline: Instant) async -> String? {
    try? await endpoints.endpoints(by: deadline).jwksURL
  }

  // MARK: Validation

  /// The token that is held for `key`, now that it can be checked; nil if there is none, or none that passes.
  private func checkHeld(
    _ key: TokenMemory.Key, of issuer: String, deadline: Instant
  ) async throws(TokenError) -> MintedToken? {
    guard var held = memory.held(key, now: .now) else { return nil }
    // What it said of the tenant's allotments is out of date, and what it took to get it was counted.
    (held.quota, held.resends) = ([], 0)
    do throws(TokenError) {
      let soon = min(deadline, Instant.now.advanced(by: Self.keySetTimeout))
      return try await check(held, of: issuer, for: key, deadline: soon)
    } catch {
      if error.isForWantOfKeys { throw error }
      return nil
    }
  }

  /// Checks a token that was just answered, or is held; it is held for as long as its keys cannot be read.
  private func check(
    _ token: UncheckedToken, of issuer: String, for key: TokenMemory.Key, deadline: Instant
  ) async throws(TokenError) -> MintedToken {
    memory.hold(token, for: key, now: .now)
    do throws(TokenError) {
      let minted = try await verify(token, of: issuer, for: key, deadline: deadline)
      memory.release(key)
      return minted
    } catch {
      if !error.isForWantOfKeys { memory.release(key) }
      throw error
    }
  }

  /// The token that is held for a grant because its keys cannot be read; another broker that gets it must check it.
  package func held(_ grant: Grant) -> StoredToken? {
    guard let token = memory.held(.init(grant: grant, holder: nil), now: .now) else { return nil }
    let (now, wallNow) = (Instant.now, WallClock.now)
    func wall(_ instant: Instant) -> Double { wallNow + now.duration(to: instant) / .seconds(1) }
    return StoredToken(
      accessToken: token.accessToken, scope: token.scope, mintedAt: wall(token.asked),
      expiresAt: wall(token.end), isChecked: false)
  }

  /// Lets go of such a token.
  package func forget(_ grant: Grant, holder: SHA256Digest?) { memory.release(.init(grant: grant, holder: holder)) }

  /// An opaque token, which lives for as long as the answer says, or else the configuration.
  private func opaque(_ token: UncheckedToken, _ key: TokenMemory.Key) throws(TokenError) -> MintedToken {
    let life = memory.life(
      of: token.accessToken, for: key, asked: token.asked, stated: token.stated, assumed: client.tokenLifetime)
    guard let life else {
      throw TokenError(
        cause: .invalidUpstreamResponse,
        message: "the tenant's answer does not say how long its opaque token lives, and the client has no lifetime set")
    }
    return try MintedToken(
      token, keyID: nil, expiresAt: life.expiresAt, lifetime: life.whole, isEnding: life.whole > .zero)
  }

  /// Checks a token that was kept, by `deadline`, as when it was minted. Where the key set cannot be read a token that
  /// was checked before passes without that: an outage of the tenant must not take away what is held. When the set is
  /// read again, `keySetChanges` tells which keys have left it.
  package func revalidate(
    for kept: StoredToken, _ grant: Grant, verify verification: Verification = .jwt, deadline: Instant
  ) async throws(TokenError) -> MintedToken {
    guard kept.mintedAt <= WallClock.now + TokenValidator.leeway else {
      throw TokenError(ValidationError("it was minted in the future, so one of two clocks is wrong", .time))
    }
    let key = TokenMemory.Key(grant: grant, holder: nil)
    func token(_ keyID: String? = nil, until expiry: Instant? = nil) -> MintedToken {
      let token = MintedToken(kept, keyID: keyID, expiry: expiry, now: .now, wallNow: WallClock.now)
      memory.saw(token, for: key, now: .now)
      return token
    }
    guard verification == .jwt else { return token() }
    // Learns where the key set is, if that is not known yet and can be.
    _ = try? await endpoints.endpoints(by: deadline)
    guard let issuer = client.issuer else { throw .noIssuer }
    let minted = MintedToken(kept, keyID: nil, expiry: nil, now: .now, wallNow: WallClock.now).mintedAt
    do throws(Flaw) {
      let proof = try await proof(
        of: kept.accessToken, by: issuer, for: grant, kept.isChecked ? .shown(since: minted) : .issued(minted),
        deadline: deadline)
      memory.release(key, askedBy: minted)
      return token(proof.keyID, until: proof.expiresAt)
    } catch {
      switch error {
      case .invalid(let error): throw TokenError(error, of: kept.accessToken)
      case .unknown(_, let keyID) where kept.isChecked:
        memory.release(key, askedBy: minted)
        return token(keyID)
      case .unknown(let error, _): throw TokenError(error)
      }
    }
  }

  /// Tries until it has the token's keys, or throws when that could not be before `deadline`.
  private func verify(
    _ token: UncheckedToken, of issuer: String, for key: TokenMemory.Key, deadline: Instant
  ) async throws(TokenError) -> MintedToken {
    while true {
      let proof: Proof
      do throws(Flaw) {
        proof = try await self.proof(
          of: token.accessToken, by: issuer, for: key.grant, .issued(token.asked), deadline: deadline)
      } catch {
        switch error {
        case .invalid(let error):
          throw token.isNearItsEnd && error.hasJustEnded ? .ending(in: .zero) : TokenError(error, of: token.accessToken)
        case .unknown(let error, _): try await wait(for: error, by: deadline)
        }
        continue
      }
      // It ends with `exp`, or before that if the answer says so.
      let end = min(proof.expiresAt, token.stated ?? proof.expiresAt)
      let life = memory.life(of: token.accessToken, for: key, asked: token.asked, stated: end, assumed: nil)
      return try MintedToken(
        token, keyID: proof.keyID, expiresAt: end, lifetime: life?.whole,
        isEnding: proof.expiresAt <= token.asked.advanced(by: .seconds(2)))
    }
  }

  /// What checking a token has shown.
  struct Proof {
    let keyID: String?
    /// `exp` seen from now, in monotonic time: a step of the wall clock does not move it.
    let expiresAt: Instant
  }

  /// Why a token is not proven.
  enum Flaw: Error {
    case invalid(ValidationError)
    /// The keys to check it with cannot be had now.
    case unknown(KeySetSource.Unavailable, keyID: String?)
  }

  private func proof(
    of token: AccessToken, by issuer: String, for grant: Grant, _ need: FetchSchedule<KeySet>.Need, deadline: Instant
  ) async throws(Flaw) -> Proof {
    let jwt: JWT
    do throws(ValidationError) { jwt = try JWT(token) } catch { throw .invalid(error) }
    let candidates: [KeySet.Key]
    do throws(KeySetSource.Unavailable) {
      candidates = try await keys.candidates(kid: jwt.keyID, algorithm: jwt.algorithm, for: need, by: deadline)
    } catch {
      throw .unknown(error, keyID: jwt.keyID)
    }
    // Read together: an instant read later would make the token seem to live longer.
    let (now, wallNow) = (Instant.now, WallClock.now)
    do throws(ValidationError) {
      let claims = try TokenValidator(issuer: issuer).claims(
        of: jwt, audience: client.checksAudience ? grant.audience : nil, candidates: candidates, now: wallNow)
      return Proof(
        keyID: jwt.keyID, expiresAt: MintedToken.instant(of: claims.exp, now: now, wallNow: wallNow))
    } catch {
      throw .invalid(error)
    }
  }

  /// Waits until the key set may be read again, if that is before `deadline`: nothing that could be waited for happens
  /// before.
  private func wait(for keys: KeySetSource.Unavailable, by deadline: Instant) async throws(TokenError) {
    guard keys.retryAt < deadline, (try? await Task.sleep(until: keys.retryAt)) != nil else { throw TokenError(keys) }
  }

  /// Returns unless a token that is minted now could not be checked. A token that was minted meanwhile waits with it: a
  /// new one would fare no better.
  private func recoverKeys(by deadline: Instant) async throws(TokenError) {
    while true {
      do throws(KeySetSource.Unavailable) {
        return try await keys.recover(by: deadline)
      } catch {
        try await wait(for: error, by: deadline)
      }
    }
  }
}

extension MintedToken {
  /// Throws for a token without any life, which a server may repeat in its last second.
  fileprivate init(
    _ token: UncheckedToken, keyID: String?, expiresAt: Instant, lifetime: Duration?, isEnding: Bool
  ) throws(TokenError) {
    guard expiresAt > token.asked else {
      throw isEnding ? .ending(in: .zero) : .lifeless
    }
    self.init(
      accessToken: token.accessToken, scope: token.scope, keyID: keyID, mintedAt: token.asked, expiresAt: expiresAt,
      lifetime: lifetime, quota: token.quota, upstreamRequestID: token.upstreamRequestID)
    if token.resends > 0 { resends = token.resends }
  }
}

extension SHA256Digest {
  /// For credentials that nobody comes back with.
  fileprivate static var nobody: SHA256Digest { SHA256Digest((0..<32).map { _ in UInt8.random(in: .min ... .max) }) }
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
      message: "the tenant's signing keys cannot be read, so its token cannot be checked: \(error.problem.reason)",
      retryAfter: max(.zero, Instant.now.duration(to: error.retryAt)))
    isForWantOfKeys = true
    evidence = error.problem.evidence
  }

  /// An answer that gives no life to its token.
  fileprivate static let lifeless = TokenError(
    cause: .invalidUpstreamResponse, message: "the tenant's answer says that the token has no life left")

  /// Why `token` is refused, and what it says of itself.
  init(_ error: ValidationError, of token: AccessToken? = nil) {
    self.init(cause: .tokenValidationFailed, message: "the tenant's token is refused: \(error.reason)")
    flaw = error.flaw
    evidence = token.flatMap { Evidence(of: $0) }
  }
}
