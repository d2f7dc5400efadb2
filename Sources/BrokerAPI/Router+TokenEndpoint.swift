import HTTPServer
import IO
import OAuth

extension Router {
  /// `GET /token/{audience}`
  func token(_ audience: Range<Int>, _ request: Request, _ response: ResponseWriter) {
    if let objection = policy.guards.objection(to: request) {
      return refuse(objection, .problemDetails, request, response)
    }
    let identity = authenticator.identify(request, now: loop.now)
    if isPlain(request), serveHeld(audience, .json, to: identity, request, response) { return }
    do throws(Problem) {
      let query = try TokenQuery(audience: audience, request)
      guard let representation = Representation.negotiate(request.text(of: "accept")) else {
        throw Problem(.notAcceptable, "a token comes as application/json or text/plain")
      }
      give(query, .token(representation), to: identity, request, response)
    } catch {
      response.send(error, to: request)
    }
  }

  /// No scope, no freshness, JSON: asked for by audience alone.
  private func isPlain(_ request: Request) -> Bool {
    if request.query != nil || request.value(of: "cache-control") != nil { return false }
    guard let accept = request.value(of: "accept") else { return true }
    return request.equals("*/*", at: accept) || request.equals("application/json", at: accept)
  }
}
