import Clocks
import HTTPServer
import OAuth
import TokenBroker

/// What requests are decided by: replaced as a whole when the configuration changes.
final class Routing: Sendable {
  let audiences: AudienceCatalog
  /// nil: whoever can connect is served.
  let callers: CallerSettings?
  let guards: RequestGuards
  /// nil: nobody's own credentials are passed on.
  let passThrough: PassThrough?

  init(_ configuration: Configuration) {
    audiences = configuration.audiences
    callers = configuration.callers
    guards = configuration.guards
    passThrough = configuration.clients.first { $0.value.isPassThrough }.map { PassThrough(client: $0.key) }
  }

  /// A service account's token is believed for so long at the most before it is checked again.
  private static let belief = Duration.seconds(300)

  /// The caller whose service account's token this is. Throws the answer to anybody else.
  func prove(_ token: [UInt8], _ digest: KeyDigest, deadline: Instant) async throws(ProblemError)
    -> Authenticator.Proven
  {
    guard let callers, let verifier = callers.serviceAccounts else { throw ProblemError(Authenticator.unknownToken) }
    let proof: CallerTokenVerifier.Caller
    do throws(CallerTokenError) {
      proof = try await verifier.verify(token, deadline: deadline)
    } catch {
      throw ProblemError(Problem(error))
    }
    let name = proof.subject.split(separator: ":", omittingEmptySubsequences: false)
    guard name.count == 4, name[0] == "system", name[1] == "serviceaccount",
      let caller = callers.directory.caller(.serviceAccount("\(name[2])/\(name[3])"))
    else { throw ProblemError(Authenticator.unknownToken) }
    return Authenticator.Proven(
      digest: digest, caller: caller, until: min(proof.expiresAt, Instant.now.advanced(by: Self.belief)))
  }

  /// The token for credentials that were brought along.
  func key(for grant: Grant, _ credentials: BroughtCredentials) throws(ProblemError) -> TokenKey {
    guard let passThrough else { throw ProblemError(Authenticator.unknownClient) }
    return try passThrough.key(for: key(for: grant, nil).grant, credentials)
  }

  /// The token that a request is about. Throws where the caller may not have it, or nobody may; what a caller may not have
  /// is not told apart from what does not exist.
  func key(for grant: Grant, _ caller: Caller?) throws(ProblemError) -> TokenKey {
    let audience = grant.audience
    if let caller, !caller.audiences.contains(Array(audience.utf8)) {
      throw ProblemError(403, "caller_not_allowed", "the caller may not have this audience", audience: audience)
    }
    guard let key = audiences.key(for: grant) else {
      throw ProblemError(
        404, "unknown_audience", "the broker's configuration does not list this audience", audience: audience)
    }
    guard let caller else { return key }
    switch caller.scope(asked: key.grant.scope) {
    case .granted(let scope):
      return TokenKey(
        client: key.client,
        grant: Grant(audience: audience, scope: scope, organization: key.grant.organization))
    case .refused(let scope):
      throw ProblemError(
        403, "caller_not_allowed", "the caller may not have the scope '\(scope)'", audience: audience)
    }
  }
}

extension Problem {
  fileprivate init(_ error: CallerTokenError) {
    switch error {
    case .refused(let reason):
      self = Authenticator.unknownToken
      description = "the bearer token is refused: \(reason)"
    case .unavailable(let reason, let retryAfter):
      self.init(503, "upstream_unavailable", reason, retryAfter: max(1, retryAfter.wholeSecondsUp))
    }
  }
}
