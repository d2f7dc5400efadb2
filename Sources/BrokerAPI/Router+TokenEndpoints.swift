import BrokerCore
import HTTPServer
import IO
import OAuth
import Telemetry

/// The three ways to ask for a token.
extension Router {
  /// `GET /token/{audience}`
  func token(_ audience: Range<Int>, _ request: Request, _ response: ResponseWriter) {
    if let objection = policy.guards.objection(to: request) { return refuse(objection, .token, request, response) }
    let identity = authenticator.identify(request, now: loop.now)
    let accept = request.value(of: "accept")
    let takesJSON = accept.map { request.equals("*/*", at: $0) || request.equals("application/json", at: $0) } ?? true
    // No scope, no freshness, JSON: asked for by audience alone.
    let isPlain = takesJSON && request.query == nil && request.value(of: "cache-control") == nil
    if isPlain, serveHeld(audience, .token, .json, to: identity, request, response) { return }
    do throws(Problem) {
      let query = try TokenQuery(audience: audience, request)
      guard let representation = Representation.negotiate(request.text(of: "accept")) else {
        throw Problem(.notAcceptable, "a token comes as application/json or text/plain")
      }
      give(query, .token, representation, to: identity, request, response)
    } catch {
      services.metrics.usage.count(error.error, Asker(identity), audience: nil)
      response.send(error, to: request)
    }
  }

  /// `/forward-auth/{audience}`: a proxy asks with the fields, and perhaps the method, of the request that it is to
  /// pass on. It passes answers on as well, to a client that has no part in what is wrong here: the log is told that.
  func forwardAuth(_ audience: Range<Int>, _ request: Request, _ response: ResponseWriter) {
    if let objection = policy.guards.objection(to: request, isForwarded: true) {
      return refuse(objection, .forwardAuth, request, response)
    }
    let identity = authenticator.identify(request, now: loop.now, isForwarded: true)
    let isPlain = request.query == nil && request.value(of: "cache-control") == nil
    if isPlain, serveHeld(audience, .forwardAuth, .field, to: identity, request, response) { return }
    do throws(Problem) {
      let query = try TokenQuery(audience: audience, request, isForwarded: true)
      give(query, .forwardAuth, .field, to: identity, request, response)
    } catch {
      let asker = Asker(identity)
      services.metrics.usage.count(error.error, asker, audience: nil)
      services.audit.withheld(error, asker.name, audience: nil, RequestIdentity(request))
      response.send(error, .noToken, to: request)
    }
  }

  /// `POST /oauth/token` and `POST /oauth/token/{audience}`, for existing OAuth clients.
  func oauthToken(_ audience: Range<Int>?, _ request: Request, _ response: ResponseWriter) {
    let endpoint = audience == nil ? Endpoint.oauthToken : .oauthTokenForAudience
    if let objection = policy.guards.objection(to: request) { return refuse(objection, endpoint, request, response) }
    do throws(Problem) {
      if let codings = request.text(of: "content-encoding"), codings.lowercased() != "identity" {
        throw Problem(.unsupportedCoding, "the body must be sent as it is, without a Content-Encoding")
      }
      var asked = try GrantRequest(
        url: URLParameters(audience: audience, request), contentType: request.text(of: "content-type"),
        authorization: request.text(of: "authorization"), body: request.array(at: request.body))
      asked.query.demand.freshness = try Demand.Freshness(request)
      let identity = authenticator.identify(asked, request, now: loop.now)
      switch identity {
      case .anyone, .caller, .unverifiedToken: try asked.refuseOthers()
      case .passThrough, .refused: break
      }
      give(asked.query, endpoint, .json, to: identity, request, response)
    } catch {
      refuse(error, endpoint, request, response)
    }
  }
}
