import Clocks
import HTTPServer
import Logging
import OAuth
import Sockets
import TokenBroker

/// The broker's routes on one event loop. A token that is held is answered here and now, from this loop's own table.
final class Router: RequestHandler {
  private let loop: EventLoop
  private let services: Services
  private let logsRequests: Bool
  private var tokens = TokenTable()
  private var name: [UInt8] = []

  /// What the routers of all loops share.
  struct Services: Sendable {
    let broker: Broker
    let health: Health
    let client: String
    /// The only audiences served; nil: any.
    let audiences: Set<[UInt8]>?
    /// Bindings from this index on are the admin listener's.
    let firstAdminBinding: Int
    let log: Logger
  }

  init(loop: EventLoop, services: Services) {
    self.loop = loop
    self.services = services
    logsRequests = services.log.logLevel <= .debug
    name.reserveCapacity(Audience.maxBytes)
  }

  func receive(_ change: TokenTable.Change) { tokens.apply(change) }

  // MARK: Routes

  func handle(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ response: ResponseWriter) {
    let line = logsRequests ? AccessLine(head, bytes, response, services.log) : nil
    route(head, bytes, response, line)
    if let line, let status = response.status { line.write(status: status) }
  }

  private func route(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ response: ResponseWriter, _ line: AccessLine?
  ) {
    let path = head.path
    let prefix: StaticString = "/token/"
    let audience = path.lowerBound + prefix.utf8CodeUnitCount
    if response.binding < services.firstAdminBinding, audience <= path.upperBound,
      bytes.equals(prefix, at: path.lowerBound..<audience)
    {
      guard head.method == .get || head.method == .head else { return refuseMethod(response) }
      token(audience..<path.upperBound, head, bytes, response, line)
    } else if bytes.equals("/healthz", at: path) {
      guard head.method == .get || head.method == .head else { return refuseMethod(response) }
      response.send(Self.status("ok", reasons: []))
    } else if bytes.equals("/readyz", at: path) {
      guard head.method == .get || head.method == .head else { return refuseMethod(response) }
      let reasons = services.health.reasonsNotReady(at: loop.now)
      let status = reasons.isEmpty ? "ok" : services.health.isDraining ? "draining" : "not_ready"
      response.send(Self.status(status, reasons: reasons))
    } else {
      response.send(Problem(404, "not_found", "there is nothing at this path"))
    }
  }

  func isProbe(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> Bool {
    bytes.equals("/healthz", at: head.path) || bytes.equals("/readyz", at: head.path)
  }

  private func refuseMethod(_ response: ResponseWriter) {
    var problem = Problem(405, "method_not_allowed", "the methods here are GET and HEAD")
    problem.fields = [("Allow", "GET, HEAD")]
    response.send(problem)
  }

  private static func status(_ status: String, reasons: [String]) -> Response {
    var members = [(name: "status", value: JSONText.string(status))]
    if !reasons.isEmpty { members.append(("reasons", JSONText.array(reasons.map { JSONText.string($0) }))) }
    return Response(
      reasons.isEmpty ? 200 : 503,
      fields: [("Content-Type", "application/json"), ("Cache-Control", "no-store")], body: JSONText.object(members))
  }

  // MARK: Tokens

  private func token(
    _ audience: Range<Int>, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ response: ResponseWriter,
    _ line: AccessLine?
  ) {
    if isPlain(head, bytes), PercentDecoder.decode(bytes, audience, into: &name),
      let hit = tokens.find(name), serve(hit, .json, response)
    {
      return
    }
    do throws(ProblemError) {
      try look(TokenQuery(audience: audience, head, bytes), accept: head.text(of: "accept", in: bytes), response, line)
    } catch {
      response.send(error.problem)
    }
  }

  /// No scope, no freshness, JSON: asked for by audience alone.
  private func isPlain(_ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> Bool {
    if head.query != nil || head.value(of: "cache-control", in: bytes) != nil { return false }
    guard let accept = head.value(of: "accept", in: bytes) else { return true }
    return bytes.equals("*/*", at: accept) || bytes.equals("application/json", at: accept)
  }

  /// Answers with a token that is held; false if it may not be served any more.
  private func serve(_ token: RenderedToken, _ representation: Representation, _ response: ResponseWriter) -> Bool {
    guard token.send(representation, to: response, now: loop.now) else { return false }
    if token.isFirstUseWhenDue(loop.now) {
      Task { [broker = services.broker, key = token.token.key] in await broker.used(key) }
    }
    return true
  }

  private func look(
    _ query: TokenQuery, accept: String?, _ response: ResponseWriter, _ line: AccessLine?
  ) throws(ProblemError) {
    let audience = query.grant.audience
    guard let representation = Representation.negotiate(accept) else {
      throw ProblemError(406, "invalid_request", "a token comes as application/json or text/plain")
    }
    if let audiences = services.audiences, !audiences.contains(Array(audience.utf8)) {
      throw ProblemError(
        404, "unknown_audience", "the broker's configuration does not list this audience", audience: audience)
    }
    if query.demand.isPlain, let hit = tokens.find(query.grant), serve(hit, representation, response) { return }
    guard let exchange = response.later() else { return }
    let key = TokenKey(client: services.client, grant: query.grant)
    Task { [broker = services.broker, demand = query.demand] in
      do throws(TokenError) {
        let token = try await broker.token(key, demand)
        exchange.send(RenderedToken(token).response(representation, now: .now))
        line?.write(status: 200)
      } catch {
        let problem = Problem(error, audience: audience)
        exchange.send(problem)
        line?.write(status: problem.status)
      }
    }
  }
}

/// What the log says of a request, once it is answered.
private struct AccessLine: Sendable {
  private let log: Logger
  private let method: String
  private let path: String
  private let requestID: String
  private let start = Instant.now

  init(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ response: ResponseWriter, _ log: Logger) {
    self.log = log
    method = "\(head.method)"
    path = bytes.text(at: head.path)
    requestID = response.requestID
  }

  func write(status: Int) {
    log.debug(
      "request",
      metadata: [
        "method": "\(method)", "path": "\(path)", "status": "\(status)", "request_id": "\(requestID)",
        "duration_ms": "\(start.duration(to: .now).milliseconds)",
      ])
  }
}

extension Problem {
  /// The answer to a caller whose token could not be had.
  init(_ error: TokenError, audience: String) {
    self.init(
      error.code.status, error.code.rawValue, error.message, audience: audience,
      retryAfter: error.code.status == 503 ? max(1, error.retryAfter?.wholeSecondsUp ?? 1) : nil)
  }
}
