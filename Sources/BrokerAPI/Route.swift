import HTTPServer
package import Telemetry

/// What a route leads to; its number is the route's place in `Route.table`.
enum Endpoint: Int, Sendable {
  case token, forwardAuth, oauthToken, oauthTokenForAudience, health, readiness, metrics, adminRoot
  case statusPage, statusReport, audiencePurge, clientPurge, retry, oauthMetadata, openIDMetadata, nothing

  /// Requests for it are requests for tokens.
  var givesTokens: Bool {
    switch self {
    case .token, .forwardAuth, .oauthToken, .oauthTokenForAudience: true
    default: false
    }
  }

  /// How its errors are told.
  var errors: ErrorShape {
    switch self {
    case .oauthToken, .oauthTokenForAudience: .oauth
    case .forwardAuth: .noToken
    default: .problemDetails
    }
  }
}

/// One row of the only table of routes: the router finds its way by it, metrics count by it, and deploy/openapi.yaml
/// describes what is in it.
package struct Route: Sendable {
  /// The methods that are served, as the `Allow` field names them.
  enum Methods: String, Sendable {
    case reading = "GET, HEAD"
    case post = "POST"
    case deleting = "DELETE, POST"
    case any = "*"

    func contains(_ method: RequestHead.Method) -> Bool {
      switch self {
      case .reading: method == .get || method == .head
      case .post: method == .post
      case .deleting: method == .delete || method == .post
      case .any: true
      }
    }
  }

  /// What of a request's path is not the route's own.
  enum Rest: Sendable {
    case nothing
    /// An audience, behind the route's path.
    case audience
    /// The path of an issuer, before or behind the route's path (OpenID Connect Discovery §4, RFC 8414 §3.1).
    case issuer
  }

  let endpoint: Endpoint
  /// The whole path, but for the rest.
  let path: StaticString
  var rest = Rest.nothing
  let methods: Methods
  /// The only listeners that it is served on; nil: all.
  let role: ListenerRole?
  /// Answered even beyond the limit on connections.
  var isProbe = false
  /// The status page sends requests there, in a browser.
  var isOfPage = false

  static let table = [
    Route(endpoint: .token, path: "/token/", rest: .audience, methods: .reading, role: .main),
    Route(endpoint: .forwardAuth, path: "/forward-auth/", rest: .audience, methods: .any, role: .main),
    Route(endpoint: .oauthToken, path: "/oauth/token", methods: .post, role: .main),
    Route(
      endpoint: .oauthTokenForAudience, path: "/oauth/token/", rest: .audience, methods: .post, role: .main),
    Route(endpoint: .health, path: "/healthz", methods: .reading, role: nil, isProbe: true),
    Route(endpoint: .readiness, path: "/readyz", methods: .reading, role: nil, isProbe: true),
    Route(endpoint: .metrics, path: "/metrics", methods: .reading, role: .admin),
    Route(endpoint: .adminRoot, path: "/", methods: .reading, role: .admin),
    Route(endpoint: .statusPage, path: "/status", methods: .reading, role: .admin),
    Route(endpoint: .statusReport, path: "/status.json", methods: .reading, role: .admin),
    Route(endpoint: .audiencePurge, path: "/tokens/", rest: .audience, methods: .deleting, role: .admin),
    Route(endpoint: .clientPurge, path: "/tokens", methods: .deleting, role: .admin),
    Route(
      endpoint: .retry, path: "/retry/", rest: .audience, methods: .post, role: .admin, isOfPage: true),
    Route(
      endpoint: .oauthMetadata, path: "/.well-known/oauth-authorization-server", rest: .issuer, methods: .reading,
      role: .main),
    Route(
      endpoint: .openIDMetadata, path: "/.well-known/openid-configuration", rest: .issuer, methods: .reading,
      role: .main),
  ]

  /// What is counted where no row matches.
  static let nothing = Route(endpoint: .nothing, path: "other", methods: .any, role: nil)

  /// In the order of the endpoints' numbers.
  package static var labels: [RouteLabel] { (table + [nothing]).map(\.label) }

  private var label: RouteLabel {
    RouteLabel(template: rest == .audience ? "\(path){audience}" : "\(path)", givesTokens: endpoint.givesTokens)
  }

  /// What of the request's path is not the route's own; nil where the path is another.
  func match(_ request: Request) -> Range<Int>? {
    let start = request.path.lowerBound + path.utf8CodeUnitCount
    if start <= request.path.upperBound, request.equals(path, at: request.path.lowerBound..<start) {
      switch rest {
      case .nothing where start < request.path.upperBound: return nil
      case .issuer where start < request.path.upperBound && !request.equals("/", at: start..<start + 1): return nil
      default: return start..<request.path.upperBound
      }
    }
    guard rest == .issuer else { return nil }
    let end = request.path.upperBound - path.utf8CodeUnitCount
    guard end > request.path.lowerBound, request.equals(path, at: end..<request.path.upperBound) else { return nil }
    return request.path.lowerBound..<end
  }
}
