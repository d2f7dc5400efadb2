import Basics
package import BrokerCore
package import HTTPServer
package import IO
import OAuth
package import Telemetry

/// The broker's routes on one event loop. A token that is held is answered here and now, from this loop's own table.
package final class Router: RequestHandler {
  /// What the routers of all loops share.
  package struct Services: Sendable {
    let broker: Broker
    let health: Health
    let accessLog: AccessLog
    let audit: AuditLog
    let metrics: Metrics
    let status: any StatusProvider
    let passThrough: PassThrough
    let upstreams: Upstreams
    /// Tells all routers, this one too.
    let tellAll: @Sendable (Message) -> Void

    package init(
      broker: Broker, health: Health, accessLog: AccessLog, audit: AuditLog, metrics: Metrics,
      status: any StatusProvider, passThrough: PassThrough, upstreams: Upstreams,
      tellAll: @escaping @Sendable (Message) -> Void
    ) {
      self.broker = broker
      self.health = health
      self.accessLog = accessLog
      self.audit = audit
      self.metrics = metrics
      self.status = status
      self.passThrough = passThrough
      self.upstreams = upstreams
      self.tellAll = tellAll
    }
  }

  /// A caller, nil for those with credentials of their own, and the number of an audience.
  private struct Given: Hashable {
    let caller: ObjectIdentifier?
    let audience: Int
  }

  package enum Message: Sendable {
    /// The token of its key from now on.
    case current(CountedToken)
    case withdrawn(TokenKey)
    /// Another configuration; all tokens that are held follow.
    case policy(AccessPolicy)
    case verified(VerifiedToken)
    /// How often each of these tokens has been handed out.
    case count([TokenKey], @Sendable ([Int]) -> Void)
  }

  let loop: EventLoop
  let services: Services
  let metrics: LoopMetrics
  private(set) var policy: AccessPolicy
  private(set) var authenticator: Authenticator
  var tokens: TokenTable
  /// The audience of the request at hand.
  var name: [UInt8] = []
  private let routes = Route.table
  /// Where this loop counts what callers are given.
  private var given: [Given: CallerUsage.Cell] = [:]
  private let index: Int
  private var logsRequests: Bool
  /// The line for the request at hand; nil where requests are not logged.
  private var line: AccessLine?

  /// `index` is the loop's.
  package init(_ index: Int, loop: EventLoop, policy: AccessPolicy, services: Services) {
    self.loop = loop
    self.index = index
    metrics = services.metrics.loops[index]
    self.policy = policy
    self.services = services
    tokens = TokenTable(policy.audiences)
    authenticator = Authenticator(policy)
    logsRequests = services.accessLog.isOn
    name.reserveCapacity(Audience.maxBytes)
  }

  package func receive(_ message: Message) {
    switch message {
    case .current(let token): tokens.insert(token)
    case .withdrawn(let key): tokens.remove(key)
    case .verified(let token): authenticator.learn(token)
    case .count(let keys, let tell): tell(tokens.hits(of: keys))
    case .policy(let policy):
      self.policy = policy
      logsRequests = services.accessLog.isOn
      tokens = TokenTable(policy.audiences)
      authenticator = Authenticator(policy)
      // It is the policy that keeps callers alive.
      given.removeAll()
    }
  }

  /// Counts that somebody has been given a token from this loop's table.
  func count(_ token: CountedToken, givenTo asker: Asker) {
    var caller: ObjectIdentifier?
    switch asker {
    case .anyone, .unknown: return
    case .caller(let one): caller = ObjectIdentifier(one)
    case .passThrough: break
    }
    let key = Given(caller: caller, audience: token.audienceNumber)
    if let cell = given[key] { return cell.add(at: loop.now) }
    guard let label = asker.label else { return }
    let cell = services.metrics.usage.given(label, audience: token.audienceNumber, loop: index)
    given[key] = cell
    cell.add(at: loop.now)
  }

  package func handle(_ request: Request, _ response: ResponseWriter) {
    if logsRequests { line = AccessLine(request, services.accessLog) }
    // Where the path leads, and what of it stands behind the route's own part.
    var (route, rest) = (Route.nothing, request.path)
    for row in routes where row.role == nil || row.role == request.role {
      guard let range = row.match(request) else { continue }
      (route, rest) = (row, range)
      break
    }
    if !route.methods.contains(request.method) {
      let allowed = route.methods.rawValue
      let problem = Problem(.methodNotAllowed, "allowed here: \(allowed)", allowedMethods: allowed)
      response.send(problem, to: request)
    } else if route.role == .admin,
      let objection = policy.guards.objection(to: request, isOfPage: route.isOfPage)
    {
      refuse(objection, route.endpoint, request, response)
    } else {
      switch route.endpoint {
      case .token: token(rest, request, response)
      case .forwardAuth: forwardAuth(rest, request, response)
      case .oauthToken: oauthToken(nil, request, response)
      case .oauthTokenForAudience: oauthToken(rest, request, response)
      case .health: health(response)
      case .readiness: readiness(response)
      case .metrics: metrics(request, response)
      case .adminRoot: response.send(Response(302, fields: [("Location", "/status"), ("Cache-Control", "no-store")]))
      case .statusPage: response.send(services.status.page)
      case .statusReport: statusReport(response)
      case .audiencePurge: purge(audience: rest, request, response)
      case .clientPurge: purgeClient(request, response)
      case .retry: retry(rest, request, response)
      case .oauthMetadata, .openIDMetadata: metadata(route.endpoint, issuerPath: rest, request, response)
      case .nothing: nothing(request, response)
      }
    }
    // No status: the answer comes later.
    if let status = response.status {
      let end = Instant.now
      metrics.answered(route.endpoint.rawValue, status: status, from: loop.now, to: end)
      line?.write(status: status, took: loop.now.duration(to: end))
    }
    if logsRequests { line = nil }
  }

  /// Puts the answer to the request at hand off. It is counted and logged when it is given.
  func deferred(_ response: ResponseWriter, _ endpoint: Endpoint) -> DeferredResponse {
    response.deferred { [line, started = loop.now, metrics = services.metrics.later] status in
      let end = Instant.now
      metrics.answered(endpoint.rawValue, status: status, from: started, to: end)
      line?.write(status: status, took: started.duration(to: end))
    }
  }

  // MARK: For the server

  package func isProbe(_ request: Request) -> Bool { routes.contains { $0.isProbe && $0.match(request) != nil } }

  package func response(to rejection: Rejection, requestID: String) -> Response {
    if rejection.kind == .noRoom {
      return Response(rejection.status, fields: [("Retry-After", "1"), ("Cache-Control", "no-store")])
    }
    return Problem(rejection).response(.problemDetails, requestID: requestID)
  }

  package func handshakeFailed(_ failure: TLSHandshakeFailure, _ detail: String?, from peer: () -> String) {
    metrics.failed(failure)
    services.audit.handshakeFailed(failure.rawValue, detail, from: peer)
  }

  package func refused(_ rejection: Rejection, from peer: () -> String) {
    metrics.refused(rejection.status)
    services.audit.refused(rejection.reason.description, status: rejection.status, from: peer)
  }
}
