package import Basics
package import BrokerCore
import OAuth
import Telemetry

/// What requests are decided by: replaced as a whole when the configuration changes.
package final class AccessPolicy: Sendable {
  let audiences: AudienceCatalog
  /// nil: whoever can connect is served.
  let callers: Callers?
  /// The names of the clients.
  let clients: Set<String>
  let guards: RequestGuards
  /// Whose tenant is asked with credentials that are brought along; nil: nobody's are passed on.
  let passThrough: UpstreamID?
  /// What clients reach the broker by, as they see it, without a slash at its end; nil: as each request says.
  let publicURL: URLParts?
  /// The client whose tenant's key set the broker's metadata names.
  let mainClient: String?
  /// The clients whose servers know an API by its scopes: there a scope is an audience, and policed as one.
  private let scopeClients: Set<String>

  package init(
    audiences: AudienceCatalog, callers: Callers?, clients: Set<String>, guards: RequestGuards,
    passThrough: UpstreamID?, publicURL: URLParts?, mainClient: String?, scopeClients: Set<String>
  ) {
    self.audiences = audiences
    self.callers = callers
    self.clients = clients
    var guards = guards
    guards.servesAnybody = callers == nil
    self.guards = guards
    self.passThrough = passThrough
    self.publicURL = publicURL
    self.mainClient = mainClient
    self.scopeClients = scopeClients
  }

  /// A service account's token is believed for so long at the most before it is checked again.
  private static let belief = Duration.seconds(300)

  /// Finds the caller whose service account's token this is. Throws the answer to anybody else; what it does not say of
  /// an outage is in the log.
  func verify(
    _ token: UnverifiedToken, _ request: RequestIdentity, _ audit: AuditLog, deadline: Instant
  ) async throws(Problem) -> VerifiedToken {
    guard let callers, let verifier = callers.serviceAccounts else { throw .unknownToken() }
    let proof: JWTVerifier.VerifiedToken
    do throws(JWTVerifier.Failure) {
      proof = try await verifier.verify(token.bytes, deadline: deadline)
    } catch {
      if case .unavailable(let reason, let evidence, _) = error {
        audit.uncheckable(reason: reason, details: evidence?.fields ?? [], request)
      }
      throw Problem(error)
    }
    let name = proof.subject.split(separator: ":", omittingEmptySubsequences: false)
    guard name.count == 4, name[0] == "system", name[1] == "serviceaccount",
      let caller = callers.directory.caller(.serviceAccount("\(name[2])/\(name[3])"))
    else { throw .unknownToken() }
    return VerifiedToken(
      digest: token.digest, caller: caller, until: min(proof.expiresAt, Instant.now.advanced(by: Self.belief)),
      policy: self)
  }

  /// The token for credentials that were brought along. Whether an audience is served is not for those who have never
  /// been given a token to know.
  func key(for query: TokenQuery, heldBy holder: SHA256Digest) throws(Problem) -> TokenKey {
    let grant = try query.grant(for: nil)
    try refuseMerged(query)
    guard let passThrough, let key = audiences.key(for: grant) else { throw .unknownClient }
    return TokenKey(client: passThrough, grant: key.grant, holder: holder)
  }

  /// Throws for what is left of a URL when a proxy on the way has merged its slashes, unless the audience is listed.
  private func refuseMerged(_ query: TokenQuery) throws(Problem) {
    guard let audience = query.audience, query.isAudienceInPath, Audience.hasMergedSlashes(audience),
      !audiences.lists(audience)
    else { return }
    throw Problem(
      .invalidAudience,
      "a proxy on the way has probably merged the two slashes of the audience: write %2F%2F for them, or ask by "
        + "POST /oauth/token",
      audience: audience)
  }

  /// At whose expense the tenant may be made to refuse the key; nil for what the configuration names.
  func payer(of key: TokenKey, _ caller: Caller?) -> Payer? {
    if audiences.lists(key.audience), (try? self.key(for: Grant(audience: key.audience), caller)) == key { return nil }
    return caller.map { .caller($0.name) } ?? .anyone
  }

  /// The token that a request is about, counted against the caller's limit. Throws where the caller may not have it, or
  /// nobody may; what a caller may not have is not told apart from what does not exist.
  func key(for query: TokenQuery, _ caller: Caller?, now: Instant) throws(Problem) -> TokenKey {
    let grant = try query.grant(for: caller)
    if let wait = caller?.admit(now: now) { throw .tooMany(wait) }
    try refuseMerged(query)
    return try key(for: grant, caller)
  }

  private func key(for grant: Grant, _ caller: Caller?) throws(Problem) -> TokenKey {
    let audience = grant.audience
    func refused(_ reason: String) -> Problem { Problem(.callerNotAllowed, reason, audience: audience) }
    if let caller, !caller.audiences.contains(Array(audience.utf8)) {
      throw refused("the caller may not have this audience")
    }
    guard let key = audiences.key(for: grant), let entry = audiences[Array(audience.utf8)] else {
      throw Problem(.unknownAudience, "the broker's configuration does not list this audience", audience: audience)
    }
    guard let caller else { return key }
    // Bytes, for a tenant tells apart what Unicode has as equal.
    func isSame(_ one: String, _ other: String?) -> Bool { other.map { one.utf8.elementsEqual($0.utf8) } ?? false }
    if let organization = entry.organization, !isSame(organization, key.grant.organization) {
      throw refused("the caller may have this audience for one organization only")
    }
    if let organization = grant.organization, !isSame(organization, entry.organization), !caller.mayName(organization) {
      throw refused("the caller may not name this organization")
    }
    if caller.scopes == nil, scopeClients.contains(entry.client), let scope = grant.scope {
      let usual = Set((entry.scope ?? "").split(separator: " "))
      guard scope.split(separator: " ").allSatisfy(usual.contains) else {
        throw refused("the caller may not have scopes beyond those of the audience")
      }
    }
    switch caller.scope(asked: grant.scope, usual: entry.scope) {
    case .granted(let scope):
      let grant = Grant(audience: audience, scope: scope, organization: key.grant.organization)
      return TokenKey(client: key.client, grant: grant)
    case .refused(let scope): throw refused("the caller may not have the scope '\(scope)'")
    }
  }
}
