package import OAuth

/// A refusal that authorization servers are known to give, and what a person can do about it. To add one is to add a
/// line to the table.
struct KnownAnswer {
  /// The refusal's `error`; nil: any.
  var error: String?
  /// How its `error_description` begins; nil: in any way.
  var beginning: String?
  let remedy: String

  func matches(_ evidence: Evidence) -> Bool {
    if let error, evidence[.error] != error { return false }
    return beginning.map { evidence[.description]?.hasPrefix($0) == true } ?? true
  }

  /// The first that matches counts.
  static let all = [
    // Entra ID: its codes, https://learn.microsoft.com/entra/identity-platform/reference-error-codes.
    KnownAnswer(
      beginning: "AADSTS7000222:",
      remedy: "The client secret has expired in Entra ID. Make a new one for the application and put it into the "
        + "secret file: it is used at once."),
    KnownAnswer(
      beginning: "AADSTS7000215:",
      remedy: "The client secret is wrong: it must be the secret's value, which Entra ID shows once, and not its id."),
    KnownAnswer(
      beginning: "AADSTS1002012:",
      remedy: "Entra ID wants the API's own identifier with /.default behind it as the scope: set the client's scope "
        + "to \"{audience}/.default\", or the audience's to what its API is called."),
    KnownAnswer(
      beginning: "AADSTS700016:",
      remedy: "No application with this client id is in this Entra directory: compare the client id, and the directory "
        + "in the issuer or the token URL."),
    KnownAnswer(
      beginning: "AADSTS90002:",
      remedy: "Entra ID knows no directory of this name: compare the directory in the issuer or the token URL."),
    KnownAnswer(
      beginning: "AADSTS500011:",
      remedy: "No application in this Entra directory has this identifier (Application ID URI): compare the scope with "
        + "the API's, byte by byte."),
    KnownAnswer(
      beginning: "AADSTS501051:",
      remedy: "Assign one of the API's application roles to the client in Entra ID, or let the API do without."),
    KnownAnswer(
      beginning: "AADSTS700027:",
      remedy: "Entra ID does not know the key that the client's assertion is signed with: upload its certificate "
        + "there, and compare keyId."),
    KnownAnswer(
      beginning: "AADSTS70021",
      remedy: "No federated credential of the application fits: compare its issuer, subject and audience in Entra ID "
        + "with those of the assertion, byte by byte."),
    // Keycloak.
    KnownAnswer(
      error: "unauthorized_client", beginning: "Client not enabled to retrieve service account",
      remedy: "Switch on \"Service accounts roles\" for the client in Keycloak: without it there is no "
        + "client-credentials grant. The secret is not what is wrong."),
    KnownAnswer(
      error: "unauthorized_client", beginning: "Invalid client or Invalid client credentials",
      remedy: "Keycloak knows no such client, or another secret for it: compare the client id, the secret and the "
        + "realm in the issuer."),
    // Auth0.
    KnownAnswer(
      error: "unauthorized_client", beginning: "Grant type 'client_credentials' not allowed",
      remedy: "Allow the application the client-credentials grant: in Auth0 under its advanced settings, Grant Types."),
    KnownAnswer(
      error: "invalid_request", beginning: "parameter organization",
      remedy: "The tenant has no such organization, or the application may not be used for it: compare its id or name "
        + "in the request, or in the audience's organization, with the tenant's."),
    // Okta.
    KnownAnswer(
      error: "invalid_scope",
      beginning: "The authorization server resource does not have any configured default scopes",
      remedy: "Okta gives no token without a scope: set one for the audience, or the client's scope."),
    // OpenBao.
    KnownAnswer(
      error: "invalid_request", beginning: "scope parameter must contain the \"openid\" value",
      remedy: "Set the client's scope to one with openid in it."),
    // Any server's words.
    KnownAnswer(error: "invalid_dpop_proof", remedy: bound),
    KnownAnswer(error: "use_dpop_nonce", remedy: bound),
    KnownAnswer(
      error: "unsupported_grant_type",
      remedy: "See that the token URL is the one for client credentials, and that the server has that grant switched "
        + "on."),
    KnownAnswer(
      error: "invalid_scope",
      remedy: "Compare the scope that is asked for with those that the tenant has, and has granted to the "
        + "application."),
  ]

  /// For tokens that only their first holder can use.
  static let bound =
    "The tenant demands that tokens are bound to their sender (DPoP or a certificate), so that a token that the broker "
    + "hands on is of no use to anybody. Switch that off for the application and the API: the broker's are bearer "
    + "tokens."
}

extension TokenError {
  /// What a person can do about it: a sentence or two, for those who look after the broker.
  package var remedy: String {
    if let evidence, let known = KnownAnswer.all.first(where: { $0.matches(evidence) }) { return known.remedy }
    if let flaw { return flaw.remedy }
    if cause == .invalidUpstreamResponse, evidence?[.error] != nil {
      return "See what the tenant says is wrong, and whether it wants other parameters than it is sent: "
        + "audienceParameter, scope and extraParameters of the client decide on them."
    }
    return cause.remedy
  }

  /// What the tenant said, what its token says of itself, and what became of the connection; nil if nothing is known.
  package var testimony: String? {
    guard let evidence else { return nil }
    let refusal = [evidence[.error], evidence[.description]].compactMap(\.self).joined(separator: ": ")
    let claims = [
      ("iss", Evidence.Item.issuer), ("aud", .audience), ("alg", .algorithm), ("kid", .keyID), ("token_type", .type),
    ]
    let token = claims.compactMap { name, item in evidence[item].map { "\(name) \($0)" } }.joined(separator: ", ")
    let parts = [
      refusal.isEmpty ? nil : "the tenant said \(refusal)", token.isEmpty ? nil : "the token has \(token)",
      evidence[.metadataIssuer].map { "the metadata names \($0)" }, evidence[.connection],
    ]
    return parts.compactMap(\.self).joined(separator: "; ")
  }
}

extension TokenFlaw {
  fileprivate var remedy: String {
    switch self {
    case .unreadable:
      "Set verify: opaque for an audience whose tokens are no JWTs, or encrypted ones: only its API can read them."
    case .uncheckable:
      "Set the client's jwksURL and issuer, or verify: opaque for the audience: its tokens are then not checked."
    case .algorithm:
      "See that the API signs with RS256, or another algorithm with public keys, and not with HS256."
    case .signature:
      "Compare the configured domain, or issuer and jwksURL, with the tenant's: another's keys are of no use. "
        + "Microsoft's own APIs have tokens that only they can check: verify: opaque."
    case .issuer:
      "Compare the configured domain or issuer with the issuer in the token (iss), byte by byte: a custom domain and "
        + "the tenant's own are two, and so are the versions of Entra ID's tokens."
    case .audience:
      "List the audience as the tenant writes it into the token (aud), or have the tenant write the one that is asked "
        + "for. For a server that has no aud set checkAudience: false."
    case .time:
      "Set this machine's clock, or the tenant's: token-broker check tells by how much they differ."
    case .bound: KnownAnswer.bound
    }
  }
}
