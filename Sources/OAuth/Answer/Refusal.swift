import Basics
import FoundationEssentials
import HTTPClient

/// An answer of the token endpoint that is no token, and which error it stands for.
///
/// Auth0's `error` alone is ambiguous, so the status and `error` decide, with the beginning of the description.
struct Refusal {
  private let response: HTTPClient.Response
  private let error: String
  private let text: String
  private let isJSON: Bool

  init(_ response: HTTPClient.Response) {
    self.response = response
    let body = try? JSONDecoder().decode(Body.self, from: Data(response.body))
    error = body?.error ?? ""
    text = body?.description ?? ""
    isJSON = body != nil
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
  func tokenError(now: Int) -> TokenError { classified(now: now).with(response) }

  /// Whether the credentials are refused, so that another secret may be accepted. RFC 6749 §5.2 leaves the status open
  /// where they were not in a header.
  var isOfCredentials: Bool { response.status == 401 || response.status == 400 && error == "invalid_client" }

  private func classified(now: Int) -> TokenError {
    switch response.status {
    case 429: return rateLimited(now: now)
    case 500... where text.hasPrefix("Global limit has been reached"): return rateLimited(now: now)
    case 500...:
      return TokenError(
        cause: .upstreamUnavailable, message: "the tenant failed with status \(response.status)",
        retryAfter: RetryHint.wait(response, now: now))
    case 401: return misconfigured
    case 300..<400: return invalid("redirects, which is never followed")
    case 400, 403: return isJSON ? denied : blocked
    case 404, 405: return invalid("has no token endpoint at the expected place")
    default: return invalid("answered with status \(response.status)")
    }
  }

  /// A JSON answer with status 400 or 403.
  private var denied: TokenError {
    if text.hasPrefix("Service not enabled within domain") || text.hasPrefix("Service not found")
      || error == "invalid_target"
    {
      return TokenError(cause: .unknownAudience, message: "the tenant knows no API with this audience")
    }
    if response.status == 400, let deniedByRFC6749 { return deniedByRFC6749 }
    switch error {
    case "invalid_client": return misconfigured
    case "unauthorized_client":
      return granted("the application may not use the client-credentials grant")
    case "invalid_scope":
      return granted("the application has not been granted a scope that was asked for")
    case "access_denied" where text.hasPrefix("Client has not been granted scopes"):
      return granted("the application has not been granted a scope that was asked for")
    case "access_denied":
      return granted("the application has no grant for this API; authorize it in the tenant")
    default:
      return invalid("refused the request as '\(PrintableText.text(error, limit: 40))'")
    }
  }

  /// The errors that servers other than Auth0 answer, all with status 400 (RFC 6749 §5.2).
  private var deniedByRFC6749: TokenError? {
    switch error {
    // Entra ID's word for RFC 8707's invalid_target.
    case "invalid_resource": TokenError(cause: .unknownAudience, message: "the tenant knows no API with this audience")
    case "invalid_grant":
      TokenError(
        cause: .brokerMisconfigured, message: "the tenant refuses the grant (invalid_grant); check the client's set-up")
    case "unsupported_grant_type":
      TokenError(
        cause: .brokerMisconfigured, message: "the tenant does not offer the client-credentials grant at this URL")
    default: nil
    }
  }

  private func granted(_ message: String) -> TokenError { TokenError(cause: .audienceNotGranted, message: message) }

  private var misconfigured: TokenError {
    TokenError(
      cause: .brokerMisconfigured,
      message: "the tenant refuses the broker's own credentials; check the client id, its secret, key or certificate, "
        + "and that the application authenticates in the way that is configured")
  }

  /// A 400 or 403 that no token endpoint wrote: something in front of it did.
  private var blocked: TokenError {
    TokenError(
      cause: .upstreamUnavailable, message: "something in front of the tenant answered with status \(response.status)")
  }

  private func invalid(_ what: String) -> TokenError {
    TokenError(cause: .invalidUpstreamResponse, message: "the tenant \(what)")
  }

  private func rateLimited(now: Int) -> TokenError {
    var error = TokenError(
      cause: .upstreamRateLimited, message: "the tenant limits the rate of requests, or a quota is used up",
      retryAfter: RetryHint.wait(response, now: now))
    let exhausted = QuotaBucket.all(in: response).filter { $0.remaining == 0 }
    error.isOfOrganization = !exhausted.isEmpty && exhausted.allSatisfy(\.isOfOrganization)
    return error
  }
}
