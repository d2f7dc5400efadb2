import BrokerCore
import HTTPServer
import IO
import OAuth
import Telemetry

/// What the ways to a token share: tokens that are held are answered with at once, all others off the loop.
extension Router {
  /// Answers from the bytes of the request, without making a key of them; false where that does not settle it.
  func serveHeld(
    _ audience: Range<Int>, _ endpoint: Endpoint, _ representation: Representation, to identity: Identity,
    _ request: Request, _ response: ResponseWriter
  ) -> Bool {
    guard request.decode(audience, into: &name), let hit = tokens.find(name), hit.token.isServable(at: loop.now) else {
      return false
    }
    switch identity {
    case .anyone: serve(hit, representation, to: .anyone, request, response)
    case .caller(let caller):
      // All else is for the slower way to refuse or to reckon.
      guard caller.scopes == nil, caller.audiences.contains(name) else { return false }
      if let wait = caller.admit(now: loop.now) {
        let audience = String(decoding: name, as: UTF8.self)
        services.audit.limited(caller.name, audience: audience, RequestIdentity(request))
        services.metrics.usage.count(.callerRateLimited, .caller(caller), audience: audience)
        response.send(.tooMany(wait), endpoint.errors, to: request)
      } else {
        serve(hit, representation, to: .caller(caller), request, response)
      }
    case .unverifiedToken, .passThrough, .refused: return false
    }
    return true
  }

  /// Answers with a token that is servable.
  private func serve(
    _ hit: TokenTable.Hit, _ representation: Representation, to asker: Asker, _ request: Request,
    _ response: ResponseWriter
  ) {
    let token = hit.token
    let isDue = token.send(representation, to: response, now: loop.now)
    tokens.count(hit)
    metrics.hit(client: hit.counted.clientNumber)
    count(hit.counted, givenTo: asker)
    if services.audit.saysGiven, let name = asker.name {
      services.audit.given(token.key, to: name, RequestIdentity(request))
    }
    if isDue { Task { [broker = services.broker, key = token.key] in await broker.used(key) } }
  }

  func refuse(_ objection: String, _ endpoint: Endpoint, _ request: Request, _ response: ResponseWriter) {
    refuse(Problem(.callerNotAllowed, objection), endpoint, request, response)
  }

  func refuse(_ problem: Problem, _ endpoint: Endpoint, _ request: Request, _ response: ResponseWriter) {
    if problem.error.isDenial {
      services.audit.denied(nil, audience: nil, reason: problem.description, RequestIdentity(request))
      if endpoint.givesTokens { services.metrics.usage.count(problem.error, .unknown, audience: nil) }
    }
    response.send(problem, endpoint.errors, to: request)
  }

  // MARK: All others

  func give(
    _ query: TokenQuery, _ endpoint: Endpoint, _ representation: Representation, to identity: Identity,
    _ request: Request, _ response: ResponseWriter
  ) {
    let service = TokenService(
      services: services, policy: policy, query: query, endpoint: endpoint, representation: representation)
    switch identity {
    case .refused(let problem):
      service.note(problem, .unknown, RequestIdentity(request))
      response.send(problem, endpoint.errors, to: request)
    case .unverifiedToken(let token):
      let (identity, answer) = (RequestIdentity(request), deferred(response, endpoint))
      // A stranger's signature is checked on another thread than mints need.
      Task { await service.serve(token, identity, answer) }
    case .passThrough(let credentials): give(service, with: credentials, request, response)
    case .anyone: give(service, to: nil, request, response)
    case .caller(let caller): give(service, to: caller, request, response)
    }
  }

  private func give(_ service: TokenService, to caller: Caller?, _ request: Request, _ response: ResponseWriter) {
    do throws(Problem) {
      let key = try policy.key(for: service.query, caller, now: loop.now)
      if service.query.demand.isPlain, let hit = tokens.find(key), hit.token.isServable(at: loop.now) {
        return serve(hit, service.representation, to: Asker(caller), request, response)
      }
      let (identity, answer) = (RequestIdentity(request), deferred(response, service.endpoint))
      Task(executorPreference: TaskLoop.shared) { await service.serve(key, to: caller, identity, answer) }
    } catch {
      service.note(error, Asker(caller), RequestIdentity(request))
      response.send(error, service.endpoint.errors, to: request)
    }
  }

  private func give(
    _ service: TokenService, with credentials: PassThroughCredentials, _ request: Request, _ response: ResponseWriter
  ) {
    do throws(Problem) {
      let holder = services.passThrough.holder(of: credentials)
      let key = try policy.key(for: service.query, heldBy: holder)
      if service.query.demand.isPlain, let hit = tokens.find(key), hit.token.isServable(at: loop.now) {
        return serve(hit, service.representation, to: .passThrough(credentials.clientID), request, response)
      }
      let payer = services.passThrough.payer(credentials, source: request.source)
      let (identity, answer) = (RequestIdentity(request), deferred(response, service.endpoint))
      Task(executorPreference: TaskLoop.shared) { await service.serve(key, with: credentials, payer, identity, answer) }
    } catch {
      // Before the tenant has accepted them anybody may have made them up.
      let isKnown = services.passThrough.hasAccepted(credentials)
      service.note(error, isKnown ? .passThrough(credentials.clientID) : .unknown, RequestIdentity(request))
      response.send(error, service.endpoint.errors, to: request)
    }
  }
}
