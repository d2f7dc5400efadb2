import Testing

@testable import OAuth
@testable import Status

@Suite struct RemedyTests {
  private static func error(
    _ cause: TokenError.Cause, _ word: String?, _ description: String?, _ flaw: TokenFlaw? = nil
  ) -> TokenError {
    var error = TokenError(cause: cause, message: "m")
    error.evidence = Evidence(error: word, description: description)
    error.flaw = flaw
    return error
  }

  @Test(
    "A remedy follows from what the tenant said",
    arguments: [
      ("invalid_client", "AADSTS7000222: The provided client secret keys for app 'x' are expired.", "has expired"),
      ("invalid_client", "AADSTS7000215: Invalid client secret provided.", "secret's value"),
      ("invalid_scope", "AADSTS1002012: The provided value for scope x is not valid.", "/.default"),
      ("unauthorized_client", "AADSTS700016: Application with identifier 'x' was not found", "compare the client id"),
      ("invalid_client", "AADSTS700213: No matching federated identity record found", "federated credential"),
      ("unauthorized_client", "Client not enabled to retrieve service account", "Service accounts roles"),
      ("unauthorized_client", "Invalid client or Invalid client credentials", "Keycloak knows no such client"),
      ("invalid_dpop_proof", "The DPoP proof JWT header is missing.", "bearer tokens"),
      ("use_dpop_nonce", nil, "bearer tokens"), ("unsupported_grant_type", "x", "grant switched on"),
      ("invalid_request", #"scope parameter must contain the "openid" value"#, "openid in it"),
      ("invalid_request", "parameter organization is invalid", "no such organization"),
      ("invalid_request", "something new", "audienceParameter"),
    ])
  func known(_ word: String, _ description: String?, _ expected: String) {
    let remedy = Self.error(.invalidUpstreamResponse, word, description).remedy
    #expect(remedy.contains(expected), "\(remedy)")
  }

  @Test("A code that only begins like a known one is another")
  func prefix() {
    let error = Self.error(.brokerMisconfigured, "invalid_client", "AADSTS70002229: x")
    #expect(error.remedy == TokenError.Cause.brokerMisconfigured.remedy)
  }

  @Test("Each flaw of a token has a remedy of its own")
  func flaws() {
    let flaws: [TokenFlaw] = [.unreadable, .uncheckable, .algorithm, .signature, .issuer, .audience, .time, .bound]
    #expect(Set(flaws.map { Self.error(.tokenValidationFailed, nil, nil, $0).remedy }).count == flaws.count)
  }

  @Test("Without evidence the cause has a remedy", arguments: TokenError.Cause.allCases)
  func plain(_ cause: TokenError.Cause) {
    #expect(TokenError(cause: cause, message: "m").remedy == cause.remedy && !cause.remedy.isEmpty)
    #expect(TokenError(cause: cause, message: "m").testimony == nil)
  }
}
