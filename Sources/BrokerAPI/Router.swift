import Basics
import HTTPServer
package import Logging
import OAuth
package import IO
package import BrokerCore
package import Telemetry

/// The broker's routes on one event loop. A token that is held is answered here and now, from this loop's own table.
package final class Router: RequestHandler {
  /// What the routers of all loops share.
  package struct Services: Sendable {
    let broker: Broker
    let health: Health
    /// Bindings from this index on are the admin listener's.
    let firstAdminBinding: Int
    let log: Logger
    let audit: AuditLog
    let metrics: Metrics
    let status: any StatusProvider
    let passThrough: PassThrough
    /// Tells all routers, this one too.
    let tellAll: @Sendable (Message) -> Void

    package init(
      broker: Broker, health: Health, firstAdminBinding: Int, log: Logger, audit: AuditLog, metrics: Metrics,
      status: any StatusProvider, passThrough: PassThrough, tellAll: @escaping @Sendable (Message) -> Void
    ) {
      self.broker = broker
      self.health = health
      self.firstAdminBinding = firstAdminBinding
      self.log = log
      self.audit = audit
      self.metrics = metrics
      self.status = status
      self.passThrough = passThrough
      self.tellAll = tellAll
    }
  }

  package enum Message: Sendable {
    case token(TokenTable.Change)
    /// Another configuration; all tokens that are held follow.
    case routing(AccessPolicy)
    case proven(Authenticator.Proven)
    /// How often each of these tokens has been handed out.
    case count([TokenKey], @Sendable ([Int]) -> Void)
  }

  private let loop: EventLoop
  private let services: Services
  private var logsRequests: Bool
  private let metrics: LoopMetrics
  private var routing: AccessPolicy
  private var tokens: TokenTable
  private var authenticator: Authenticator
  /// The audience of the request at hand.
  private var name: [UInt8] = []

  /// `index` is the loop's.
  package init(_ index: Int, loop: EventLoop, routing: AccessPolicy, services: Services) {
    self.loop = loop
    metrics = services.metrics.loops[index]
    self.routing = routing
    self.services = services
    tokens = TokenTable(routing.audiences)
    authenticator = Authenticator(routing)
    logsRequests = services.log.logLevel <= .debug
    name.reserveCapacity(Audience.maxBytes)
  }

  package func receive(_ message: Message) {
    switch message {
    case .token(let change): tokens.apply(change)
    case .proven(let proof): authenticator.learn(proof)
    case .count(let keys, let tell): tell(tokens.hits(of: keys))
    case .routing(let routing):
      self.routing = routing
      logsRequests = services.log.logLevel <= .debug
      tokens = TokenTable(routing.audiences)
      authenticator = Authenticator(routing)
    }
  }

  // MARK: Routes

  func handle(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ response: ResponseWriter) {
    let line = logsRequests ? AccessLine(head, bytes, response, services.log) : nil
    let started = loop.now
    func record(_ route: Route, _ metrics: LoopMetrics) -> RequestRecord {
      RequestRecord(route: route, started: started, metrics: metrics, line: line)
    }
    let (route, rest) = route(of: head, bytes, isMain: response.binding < services.firstAdminBinding)
    answer(route, rest, head, bytes, Answer(response, record(route, services.metrics.later)))
    if let status = response.status { record(route, metrics).answered(status, now: .now) }
  }

  /// Where a path leads, and what of it stands behind the route's own part.
  private func route(
    of head: borrowing RequestHead, _ bytes: Span<UInt8>, isMain: Bool
  ) -> (Route, rest: Range<Int>) {
    let path = head.path
    if isMain {
      if let rest = Self.rest(of: path, behind: "/token/", bytes) { return (.token, rest) }
      if let rest = Self.rest(of: path, behind: "/forward-auth/", bytes) { return (.forwardAuth, rest) }
      if bytes.equals("/oauth/token", at: path) { return (.oauthToken, path) }
    } else {
      if bytes.equals("/metrics", at: path) { return (.metrics, path) }
      if bytes.equals("/status", at: path) { return (.status, path) }
      if bytes.equals("/status.json", at: path) { return (.statusJSON, path) }
    }
    if bytes.equals("/healthz", at: path) { return (.healthz, path) }
    return (bytes.equals("/readyz", at: path) ? .readyz : .other, path)
  }

  private func answer(
    _ route: Route, _ rest: Range<Int>, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ answer: Answer
  ) {
    let response = answer.response
    let isRead = head.method == .get || head.method == .head
    switch route {
    case .oauthToken:
      if head.method == .post { oauthToken(head, bytes, answer) } else { refuseMethod(response, "POST") }
    case .forwardAuth: forwardAuth(rest, head, bytes, answer)
    case .other, .refused: response.send(Problem(404, "not_found", "there is nothing at this path"))
    case _ where !isRead: refuseMethod(response, "GET, HEAD")
    case .token: token(rest, head, bytes, answer)
    case .healthz: response.send(Self.status("ok", reasons: []))
    case .readyz:
      let reasons = services.health.reasonsNotReady(at: loop.now)
      let status = reasons.isEmpty ? "ok" : services.health.isDraining ? "draining" : "not_ready"
      response.send(Self.status(status, reasons: reasons))
    case .metrics:
      let format = MetricsText.Format(accept: head.text(of: "accept", in: bytes))
      guard let later = answer.later() else { return }
      Task { [metrics = services.metrics] in
        later.send(
          Response(
            200, fields: [("Content-Type", format.contentType), ("Cache-Control", "no-store")],
            body: await metrics.text(format)))
      }
    case .status: response.send(services.status.page)
    case .statusJSON:
      guard let later = answer.later() else { return }
      Task { [status = services.status] in later.send(await status.report()) }
    }
  }

  private static func rest(of path: Range<Int>, behind prefix: StaticString, _ bytes: Span<UInt8>) -> Range<Int>? {
    let start = path.lowerBound + prefix.utf8CodeUnitCount
    guard start <= path.upperBound, bytes.equals(prefix, at: path.lowerBound..<start) else { return nil }
    return start..<path.upperBound
  }

  func isProbe(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> Bool {
    bytes.equals("/healthz", at: head.path) || bytes.equals("/readyz", at: head.path)
  }

  func refused(_ status: Int) { metrics.refused(status) }

  private func refuseMethod(_ response: ResponseWriter, _ allowed: String) {
    var problem = Problem(405, "method_not_allowed", "allowed here: \(allowed)")
    problem.fields = [("Allow", allowed)]
    response.send(problem)
  }

  private static func status(_ status: String, reasons: [String]) -> Response {
    var members = [(name: "status", value: JSONText.string(status))]
    if !reasons.isEmpty { members.append(("reasons", JSONText.array(reasons.map { JSONText.string($0) }))) }
    return Response(
      reasons.isEmpty ? 200 : 503,
      fields: [("Content-Type", "application/json"), ("Cache-Control", "no-store")], body: JSONText.object(members))
  }

  // MARK: The ways to a token

  private func token(
    _ audience: Range<Int>, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ answer: Answer
  ) {
    guard admits(head, bytes, answer) else { return }
    let verdict = authenticator.identify(head, bytes, answer.response, now: loop.now)
    if isPlain(head, bytes), servePlain(audience, verdict, .json, head, bytes, answer) { return }
    do throws(ProblemError) {
      let query = try TokenQuery(audience: audience, head, bytes)
      guard let representation = Representation.negotiate(head.text(of: "accept", in: bytes)) else {
        throw ProblemError(406, "invalid_request", "a token comes as application/json or text/plain")
      }
      give(query, representation, to: verdict, head, bytes, answer)
    } catch {
      answer.send(error.problem)
    }
  }

  private func forwardAuth(
    _ audience: Range<Int>, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ answer: Answer
  ) {
    guard admits(head, bytes, answer, isForwarded: true) else { return }
    let verdict = authenticator.identify(head, bytes, answer.response, now: loop.now)
    if head.query == nil, servePlain(audience, verdict, .field, head, bytes, answer) { return }
    do throws(ProblemError) {
      let query = try TokenQuery(audience: audience, head, bytes, isForwarded: true)
      give(query, .field, to: verdict, head, bytes, answer)
    } catch {
      answer.send(error.problem)
    }
  }

  private func oauthToken(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ answer: Answer) {
    guard admits(head, bytes, answer) else { return }
    do throws(ProblemError) {
      let request = try GrantRequest(
        contentType: head.text(of: "content-type", in: bytes),
        authorization: head.text(of: "authorization", in: bytes), body: bytes.array(at: head.body))
      let verdict = authenticator.identify(request.credentials, head, bytes, answer.response, now: loop.now)
      give(request.query, .json, to: verdict, head, bytes, answer)
    } catch {
      answer.send(error.problem)
    }
  }

  private func admits(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ answer: Answer, isForwarded: Bool = false
  ) -> Bool {
    guard let objection = routing.guards.objection(to: head, bytes, isForwarded: isForwarded) else { return true }
    services.audit.denied(nil, audience: nil, reason: objection, RequestIdentity(head, bytes, id: answer.requestID))
    answer.send(Problem(403, "caller_not_allowed", objection))
    return false
  }

  /// No scope, no freshness, JSON: asked for by audience alone.
  private func isPlain(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> Bool {
    if head.query != nil || head.value(of: "cache-control", in: bytes) != nil { return false }
    guard let accept = head.value(of: "accept", in: bytes) else { return true }
    return bytes.equals("*/*", at: accept) || bytes.equals("application/json", at: accept)
  }

  // MARK: Tokens that are held

  /// Answers from the bytes of the request, without making a key of them; false where that does not settle it.
  private func servePlain(
    _ audience: Range<Int>, _ verdict: Authenticator.Verdict, _ representation: Representation,
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ answer: Answer
  ) -> Bool {
    guard PercentDecoder.decode(bytes, audience, into: &name), let hit = tokens.find(name) else { return false }
    switch verdict {
    case .anyone: return serve(hit, representation, to: nil, head, bytes, answer)
    case .caller(let caller):
      // All else is for the slower way to refuse or to reckon.
      guard caller.scopes == nil, caller.audiences.contains(name), hit.token.isServable(at: loop.now) else {
        return false
      }
      if let wait = caller.admit(now: loop.now) {
        answer.send(.tooMany(wait))
        return true
      }
      return serve(hit, representation, to: caller.name, head, bytes, answer)
    case .unproven, .holder, .refused: return false
    }
  }

  /// False if the token may not be served any more.
  private func serve(
    _ hit: TokenTable.Hit, _ representation: Representation, to name: String?, _ head: borrowing RequestHead,
    _ bytes: Span<UInt8>, _ answer: Answer
  ) -> Bool {
    let token = hit.token
    guard token.send(representation, to: answer.response, now: loop.now) else { return false }
    tokens.count(hit)
    metrics.hit(client: token.clientNumber)
    if let name, services.audit.saysGiven {
      services.audit.given(token.token.key, to: name, RequestIdentity(head, bytes, id: answer.requestID))
    }
    if token.isFirstUseWhenDue(loop.now) {
      Task { [broker = services.broker, key = token.token.key] in await broker.used(key) }
    }
    return true
  }

  // MARK: All others

  private func give(
    _ query: TokenQuery, _ representation: Representation, to verdict: Authenticator.Verdict,
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ answer: Answer
  ) {
    let desk = TokenService(services: services, routing: routing, query: query, representation: representation)
    switch verdict {
    case .refused(let problem):
      answer.send(desk.denied(nil, problem, RequestIdentity(head, bytes, id: answer.requestID)))
    case .unproven(let token, let digest, let clientID):
      let request = RequestIdentity(head, bytes, id: answer.requestID)
      guard let exchange = answer.later() else { return }
      Task { await desk.serve(unproven: token, digest, clientID: clientID, request, exchange) }
    case .holder(let credentials): give(desk, toHolderOf: credentials, head, bytes, answer)
    case .anyone: give(desk, to: nil, head, bytes, answer)
    case .caller(let caller): give(desk, to: caller, head, bytes, answer)
    }
  }

  private func give(
    _ desk: TokenService, toHolderOf credentials: PassThroughCredentials, _ head: borrowing RequestHead,
    _ bytes: Span<UInt8>,
    _ answer: Answer
  ) {
    do throws(ProblemError) {
      let holder = services.passThrough.holder(of: credentials)
      let key = try desk.routing.key(for: desk.query.grant, heldBy: holder)
      if let hit = tokens.find(key), serve(hit, desk.representation, to: credentials.clientID, head, bytes, answer) {
        return
      }
      if let wait = services.passThrough.admit(credentials, holder, now: loop.now) {
        return answer.send(.tooMany(wait))
      }
      let request = RequestIdentity(head, bytes, id: answer.requestID)
      guard let exchange = answer.later() else { return }
      Task { await desk.serve(key, with: credentials, request, exchange) }
    } catch {
      answer.send(error.problem)
    }
  }

  private func give(
    _ desk: TokenService, to caller: Caller?, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ answer: Answer
  ) {
    do throws(ProblemError) {
      let key = try desk.key(for: caller, now: loop.now)
      if desk.query.demand.isPlain, let hit = tokens.find(key),
        serve(hit, desk.representation, to: caller?.name, head, bytes, answer)
      {
        return
      }
      let request = RequestIdentity(head, bytes, id: answer.requestID)
      guard let exchange = answer.later() else { return }
      Task { await desk.serve(key, to: caller, request, exchange) }
    } catch {
      let problem = error.problem
      if problem.status != 403 { return answer.send(problem) }
      answer.send(desk.denied(caller, problem, RequestIdentity(head, bytes, id: answer.requestID)))
    }
  }
}
