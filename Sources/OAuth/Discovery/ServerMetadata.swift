import Basics
import FoundationEssentials
import HTTPClient

/// What an issuer publishes about itself (RFC 8414 §2, OpenID Connect Discovery §3).
struct ServerMetadata: Decodable {
  private let issuer: String
  private let tokenEndpoint: String?
  private let jwksURI: String?
  private let aliases: Aliases?
  private let authMethods: Words?

  /// The endpoints for clients that authenticate with a certificate (RFC 8705 §5).
  private struct Aliases: Decodable {
    let tokenEndpoint: String?

    enum CodingKeys: String, CodingKey { case tokenEndpoint = "token_endpoint" }
  }

  /// What is no list of words is nil, so that it does not spoil the rest.
  private struct Words: Decodable {
    let list: [String]?

    init(from decoder: any Decoder) throws { list = try? decoder.singleValueContainer().decode([String].self) }
  }

  private enum CodingKeys: String, CodingKey {
    case issuer
    case tokenEndpoint = "token_endpoint"
    case jwksURI = "jwks_uri"
    case aliases = "mtls_endpoint_aliases"
    case authMethods = "token_endpoint_auth_methods_supported"
  }

  /// How clients may authenticate at the token endpoint; nil where it does not say.
  var tokenEndpointAuthMethods: [String]? { authMethods?.list }

  /// Where an issuer's metadata may be, in this order: OpenID Connect Discovery §4 appends to the issuer's path, and
  /// RFC 8414 §3.1 inserts in front of it. Servers are found that do it the other way round (django-oauth-toolkit).
  static func locations(issuer: String) -> [String] {
    guard let parts = URLParts(issuer) else { return [] }
    let path = parts.path.hasSuffix("/") ? parts.path.dropLast() : parts.path[...]
    let (openID, oauth) = ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server")
    let byTheBook = ["\(parts.origin)\(path)\(openID)", "\(parts.origin)\(oauth)\(path)"]
    return path.isEmpty ? byTheBook : byTheBook + ["\(parts.origin)\(path)\(oauth)", "\(parts.origin)\(openID)\(path)"]
  }

  /// The first of these documents that is there. Throws where there is none, or where it names another issuer.
  /// `onAnswer` is called with each answer.
  static func read(
    issuer: String, http: HTTPClient, timeout: Duration, onAnswer: (HTTPClient.Response) -> Void = { _ in }
  ) async throws(TokenError) -> ServerMetadata {
    for url in locations(issuer: issuer) {
      let response: HTTPClient.Response
      do throws(HTTPClient.Failure) {
        response = try await http.send(
          HTTPClient.Request(url: url, headers: [("Accept", "application/json")], timeout: timeout))
      } catch {
        throw TokenError(error)
      }
      onAnswer(response)
      if response.status == 429 || response.status >= 500 {
        throw TokenError(
          cause: .upstreamUnavailable, message: "the tenant's metadata cannot be read: status \(response.status)",
          retryAfter: RetryHint.wait(response, now: Int(WallClock.now))
        ).with(response)
      }
      guard response.status == 200,
        let metadata = try? JSONDecoder().decode(ServerMetadata.self, from: Data(response.body))
      else { continue }
      if (try? JSONObject(response.body)) == nil { throw invalid("has metadata that can be read in two ways") }
      // Else one issuer could have its tokens taken for another's (RFC 8414 §3.3).
      guard metadata.issuer.hasSameBytes(as: issuer) else {
        var error = TokenError(
          cause: .brokerMisconfigured, message: "the tenant's metadata names another issuer than is configured")
        error.evidence = Evidence(.metadataIssuer, metadata.issuer)
        throw error
      }
      return metadata
    }
    throw TokenError(
      cause: .upstreamGlitch,
      message: "the tenant publishes no metadata at \(locations(issuer: issuer).joined(separator: " or "))")
  }

  /// Throws for what no secret may be sent to, and no key be taken from.
  func endpoints(prefersMutualTLS: Bool) throws(TokenError) -> Endpoints {
    guard let tokenURL = (prefersMutualTLS ? aliases?.tokenEndpoint : nil) ?? tokenEndpoint else {
      throw Self.invalid("names no token_endpoint in its metadata")
    }
    do throws(InvalidSetting) {
      return try Endpoints(tokenURL: tokenURL, jwksURL: jwksURI, issuer: issuer)
    } catch {
      throw Self.invalid("has an endpoint in its metadata that is no https:// URL")
    }
  }

  private static func invalid(_ what: String) -> TokenError {
    TokenError(cause: .invalidUpstreamResponse, message: "the tenant \(what)")
  }
}
