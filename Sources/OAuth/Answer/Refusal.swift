import Basics
import FoundationEssentials
import HTTPClient

/// An answer of the token endpoint that is no token, and which error it stands for.
///
/// Auth0's `error` alone is ambiguous, so the status and `error` decide, with the beginning of the description. Only
/// what is said in the words of a token endpoint (RFC 6749 §5.2, and those that are known of servers) is a refusal.
struct Refusal {
  private let response: HTTPClient.Response
  /// nil if the answer is not JSON.
  private let body: Body?
  /// nil if the answer does not have the form of RFC 6749 §5.2.
  private var error: String? { body?.error }
  private var text: String { body?.description ?? "" }
  private let redaction: Redaction

  /// `redaction` takes the secrets of the request out of what is shown.
  init(_ response: HTTPClient.Response, hiding redaction: Redaction = Redaction()) {
    self.response = response
    self.redaction = redaction
    body = try? JSONDecoder().decode(Body.self, from: Data(response.body))
  }

  private struct Body: Decodable {
    let error: String?
    let description: String?

    enum CodingKeys: String, CodingKey {
      case error
      case description = "error_description"
    }
  }

  /// `now` is Unix time in seconds.
  func tokenError(now: Int) -> TokenError {
    var error = classified(now: now).with(response)
    error.evidence = Evidence(error: body?.error, description: body?.description, hiding: redaction)
    return error
  }

  /// Whether the credentials are refused, so that another secret may be accepted. RFC 6749 §5.2 leaves the status open
  /// where they were not in a header.
  var isOfCredentials: Bool {
    response.status == 401 && !isOfGrantType || response.status == 400 && error == "invalid_client"
  }

  /// Keycloak has one word, with 401, for a wrong secret and for a client that may not use the grant type.
  private var isOfGrantType: Bool { error == "unauthorized_client" && !text.hasPrefix("Invalid client") }

  private func classified(now: Int) -> TokenError {
    switch response.status {
    case 429: return rateLimited(now: now)
    case 500... where text.hasPrefix("Global limit has been reached"): return rateLimited(now: now)
    case 500...: return unavailable("the tenant failed with status \(response.status)", now: now)
    case 401 where isOfCredentials: return credentialsRefused
    case 300..<400: return glitch("redirects, which is never followed")
    case 404, 405: return glitch("has no token endpoint at the expected place")
    case 408, 425: return unavailable("the tenant answered with status \(response.status)", now: now)
    default: break
    }
    if let error { return denied(error, now: now) }
    if response.status == 400 || response.status == 403 {
      return unavailable("something in front of the tenant answered with status \(response.status)", now: now)
    }
    return glitch("answered with status \(response.status)")
  }

  /// An answer with an `error`, of status 400, 401 or 403 mostly.
  private func denied(_ error: String, now: Int) -> TokenError {
    // Servers other than Auth0 answer with the codes of RFC 6749 §5.2, all with status 400.
    let isBadRequest = response.status == 400
    // Entra ID says invalid_resource for RFC 8707's invalid_target.
    if text.hasPrefix("Service not enabled within domain") || text.hasPrefix("Service not found")
      || error == "invalid_target" || isBadRequest && error == "invalid_resource"
    {
      return TokenError(cause: .unknownAudience, message: "the tenant knows no API with this audience")
    }
    switch error {
    case "invalid_grant" where isBadRequest:
      return misconfigured("the tenant refuses the grant (invalid_grant); check the client's set-up")
    case "unsupported_grant_type" where isBadRequest:
      return misconfigured("the tenant does not offer the client-credentials grant at this URL")
    case "invalid_client": return credentialsRefused
    case "unauthorized_client": return notGranted("the application may not use the client-credentials grant")
    case "access_denied" where !text.hasPrefix("Client has not been granted scopes"):
      return notGranted("the application has no grant for this API; authorize it in the tenant")
    case "invalid_scope", "insufficient_scope", "scope_invalid", "access_denied":
      return notGranted("the application has not been granted a scope that was asked for")
    case "invalid_request" where text.hasPrefix("parameter organization"):
      return TokenError(
        cause: .unknownOrganization, message: "the tenant does not know the organization, or asks for one")
    case "temporarily_unavailable", "server_error", "slow_down":
      return unavailable("the tenant says that it cannot answer now", now: now)
    default:
      return TokenError(
        cause: .invalidUpstreamResponse, message: "the tenant refuses the request in a word that is not known here")
    }
  }

  private func notGranted(_ message: String) -> TokenError { TokenError(cause: .audienceNotGranted, message: message) }

  private func misconfigured(_ message: String) -> TokenError {
    TokenError(cause: .brokerMisconfigured, message: message)
  }

  private var credentialsRefused: TokenError {
    misconfigured(
      "the tenant refuses the broker's own credentials; check the client id, its secret, key or certificate, "
        + "and that the application authenticates in the way that is configured")
  }

  private func unavailable(_ message: String, now: Int) -> TokenError {
    TokenError(cause: .upstreamUnavailable, message: message, retryAfter: RetryHint.wait(response, now: now))
  }

  private func glitch(_ what: String) -> TokenError {
    TokenError(cause: .upstreamGlitch, message: "the tenant \(what)")
  }

  private func rateLimited(now: Int) -> TokenError {
    var error = TokenError(
      cause: .upstreamRateLimited, message: "the tenant limits the rate of requests, or a quota is used up",
      retryAfter: RetryHint.wait(response, now: now))
    let exhausted = RetryHint.isRateLimit(response) ? [] : QuotaBucket.all(in: response).filter { $0.remaining == 0 }
    error.isOfOrganization = !exhausted.isEmpty && exhausted.allSatisfy(\.isOfOrganization)
    return error
  }
}
