import HTTPServer
package import Telemetry

/// What a route leads to; its number is the route's place in `Route.table`.
enum Endpoint: Int, Sendable {
  case token, forwardAuth, oauthToken, health, readiness, metrics, statusPage, statusReport
  case audiencePurge, clientPurge, nothing

  /// How its errors are told.
  var errors: ErrorShape {
    switch self {
    case .oauthToken: .oauth
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

  let endpoint: Endpoint
  /// The whole path or, where an audience follows, what stands before it.
  let path: StaticString
  var takesAudience = false
  let methods: Methods
  /// The only listeners that it is served on; nil: all.
  let role: ListenerRole?
  /// Answered even beyond the limit on connections.
  var isProbe = false

  static let table = [
    Route(endpoint: .token, path: "/token/", takesAudience: true, methods: .reading, role: .main),
    Route(endpoint: .forwardAuth, path: "/forward-auth/", takesAudience: true, methods: .any, role: .main),
    Route(endpoint: .oauthToken, path: "/oauth/token", methods: .post, role: .main),
    Route(endpoint: .health, path: "/healthz", methods: .reading, role: nil, isProbe: true),
    Route(endpoint: .readiness, path: "/readyz", methods: .reading, role: nil, isProbe: true),
    Route(endpoint: .metrics, path: "/metrics", methods: .reading, role: .admin),
    Route(endpoint: .statusPage, path: "/status", methods: .reading, role: .admin),
    Route(endpoint: .statusReport, path: "/status.json", methods: .reading, role: .admin),
    Route(endpoint: .audiencePurge, path: "/tokens/", takesAudience: true, methods: .deleting, role: .admin),
    Route(endpoint: .clientPurge, path: "/tokens", methods: .deleting, role: .admin),
  ]

  /// What is counted where no row matches.
  static let nothing = Route(endpoint: .nothing, path: "other", methods: .any, role: nil)

  /// In the order of the endpoints' numbers.
  package static var labels: [RouteLabel] { (table + [nothing]).map(\.label) }

  private var label: RouteLabel {
    RouteLabel(
      template: takesAudience ? "\(path){audience}" : "\(path)",
      givesTokens: role == .main)
  }

  /// What of the request's path stands behind the route's own; nil where the path is another.
  func match(_ request: Request) -> Range<Int>? {
    let start = request.path.lowerBound + path.utf8CodeUnitCount
    guard takesAudience ? start <= request.path.upperBound : start == request.path.upperBound,
      request.equals(path, at: request.path.lowerBound..<start)
    else { return nil }
    return start..<request.path.upperBound
  }
}
