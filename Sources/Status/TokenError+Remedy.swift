import OAuth

extension TokenError.Cause {
  /// What a person can do about it where nothing more is known.
  package var remedy: String {
    switch self {
    case .unknownAudience:
      "Compare the audience with the API's identifier in the tenant, byte by byte: one with a slash at its end is "
        + "another."
    case .audienceNotGranted:
      "In the tenant, authorize the application for this API and for the scopes that are asked for, and allow it the "
        + "client-credentials grant."
    case .unknownOrganization:
      "Whoever asks must name an organization that the tenant has, and that the application may be used for."
    case .brokerMisconfigured:
      "Compare the client id, the secret or key and the way to authenticate with the application's settings in the "
        + "tenant. A new secret in the secret file is used at once."
    case .invalidCaller: "Whoever sent these credentials must mend them; the broker's own are not concerned."
    case .invalidUpstreamResponse:
      "Check the domain or token URL, and what stands between the broker and the tenant; no usual token endpoint "
        + "answers like this."
    case .upstreamGlitch:
      "The tenant is asked again soon. If it lasts, check the domain or token URL, and what stands between the broker "
        + "and the tenant: something else than a token endpoint answers."
    case .tokenValidationFailed:
      "Compare the configured domain with the issuer of the tenant's tokens, see that the API signs with RS256 and not "
        + "HS256, and check this machine's clock."
    case .upstreamRateLimited:
      "Wait: what is held is served meanwhile, and the tenant asked again as soon as it allows. If it comes back, "
        + "see who asks for many audiences or scopes, or have the tenant's limit raised."
    case .upstreamUnavailable:
      "What is held is served meanwhile, and the tenant asked again and again. If it lasts, check the tenant's status "
        + "page, then DNS, firewall, proxy and trusted certificates on the way there: token-broker check tells which."
    case .upstreamTimeout:
      "What is held is served meanwhile, and the tenant asked again and again. If it lasts, check the tenant's "
        + "status page, and what is slow on the way there: token-broker check tells."
    case .allowanceUsedUp:
      "Look for who asks for what the tenant refuses: the log has a line that says who. upstream.refusalsPerMinute is "
        + "how much of that each may cost."
    case .overloaded:
      "Look for callers that ask in a loop or for audiences without number; limits.waitingRequests is how many may "
        + "wait."
    }
  }
}
