import Basics

/// Answers token requests as Auth0 does, or as a fault says.
struct TokenEndpoint {
  let issuer: String
  let clientID: String
  let secrets: [String]
  let audiences: [String: [String]]
  let grantsEverything: Bool
  let lifetime: Int
  let key: SigningKey
  /// Unix time in seconds, as its clock has it.
  let now: Int

  /// A request that has passed, and what it is given.
  struct Grant {
    let audience: String
    let scopes: [String]
    let organization: String?
    /// Scopes the answer must name: Auth0 names them where there are any.
    var scope: String? { scopes.isEmpty ? nil : scopes.joined(separator: " ") }
  }

  /// The grant that a request gets. A fault's audience is known, and may have any scope.
  func decide(_ request: TokenRequest) throws(Refused) -> Grant {
    guard request.clientID == clientID, let secret = request.clientSecret, secrets.contains(secret) else {
      throw Refused(401, "access_denied", "Unauthorized")
    }
    guard request.grantType == "client_credentials" else {
      let type = request.grantType ?? ""
      throw Refused(403, "unauthorized_client", "Grant type '\(type)' not allowed for the client.")
    }
    guard let audience = request.audience else {
      throw Refused(
        403, "access_denied", "No audience parameter was provided, and no default audience has been configured")
    }
    if Fault(audience: audience) != nil {
      return Grant(audience: audience, scopes: request.scopes, organization: request.organization)
    }
    guard let granted = audiences[audience] ?? (grantsEverything ? [] : nil) else {
      throw Refused(403, "access_denied", "Service not enabled within domain: \(audience)")
    }
    let missing = grantsEverything ? [] : request.scopes.filter { !granted.contains($0) }
    guard missing.isEmpty else {
      throw Refused(403, "access_denied", "Client has not been granted scopes: \(missing.joined(separator: ", "))")
    }
    let scopes = request.scopes.isEmpty ? granted : request.scopes
    return Grant(audience: audience, scopes: scopes, organization: request.organization)
  }

  struct Refused: Error {
    let reply: Reply

    init(_ status: Int, _ error: String, _ description: String) { reply = .refusal(status, error, description) }
  }

  // MARK: Tokens

  func claims(_ grant: Grant) -> AccessTokenClaims {
    AccessTokenClaims(
      issuer: issuer, subject: "\(clientID)@clients", audiences: [grant.audience], issuedAt: now,
      expiresAt: now + lifetime, scope: grant.scope, organization: grant.organization,
      others: [("gty", JSONText.string("client-credentials")), ("azp", JSONText.string(clientID))])
  }

  func token(_ claims: AccessTokenClaims, _ header: TokenHeader? = nil, with other: SigningKey? = nil) throws -> String
  {
    let key = other ?? key
    let header = header ?? TokenHeader(keyID: key.id)
    let input = "\(Base64URL.encode(header.json)).\(Base64URL.encode(claims.json))"
    return "\(input).\(Base64URL.encode(try key.sign(Array(input.utf8))))"
  }

  // MARK: Answers

  func success(_ grant: Grant) throws -> Reply { answer(token: try token(claims(grant)), grant) }

  /// What is said of the client's quotas where nothing is wrong with them.
  private static let plenty = "b=per_hour;q=1000;r=999;t=3540,b=per_day;q=5000;r=4999;t=43200"

  /// The good answer around `token`; `expiresIn` is JSON, nil to leave it out.
  func answer(
    token: String, _ grant: Grant, type: String = "Bearer", expiresIn: String? = "",
    quota: String = plenty, more: [(name: String, value: [UInt8])] = []
  ) -> Reply {
    var members: [(name: String, value: [UInt8])] = [("access_token", JSONText.string(token))]
    if let expiresIn {
      members.append(("expires_in", expiresIn.isEmpty ? JSONText.number(lifetime) : Array(expiresIn.utf8)))
    }
    members.append(("token_type", JSONText.string(type)))
    if let scope = grant.scope { members.append(("scope", JSONText.string(scope))) }
    return .json(200, members + more, fields: successFields(quota))
  }

  private func successFields(_ quota: String) -> [(name: String, value: String)] {
    [
      ("Pragma", "no-cache"), ("X-RateLimit-Limit", "30"), ("X-RateLimit-Remaining", "29"),
      ("X-RateLimit-Reset", "\(now + 1)"),
      ("X-Auth0-RequestId", String(UInt64.random(in: .min ... .max), radix: 16)),
      ("Auth0-Client-Quota-Limit", quota),
    ]
  }
}
