import OAuth
import TokenBroker

/// What requests are decided by: replaced as a whole when the configuration changes.
final class Routing: Sendable {
  let audiences: AudienceCatalog
  /// nil: whoever can connect is served.
  let callers: CallerSettings?
  let guards: RequestGuards

  init(_ configuration: Configuration) {
    audiences = configuration.audiences
    callers = configuration.callers
    guards = configuration.guards
  }

  /// The caller whose service account's token this is, and which is then known to all loops.
  func prove(
    _ token: [UInt8], _ digest: KeyDigest, tell: (Router.Message) -> Void
  ) async throws(ProblemError) -> Caller {
    throw ProblemError(Authenticator.unknownToken)
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
