import HTTPServer
import IO
import OAuth

extension Router {
  /// `/forward-auth/{audience}`: a proxy asks with the fields, and perhaps the method, of the request that it is to
  /// pass on.
  func forwardAuth(_ audience: Range<Int>, _ request: Request, _ response: ResponseWriter) {
    if let objection = policy.guards.objection(to: request, isForwarded: true) {
      return refuse(objection, .problemDetails, request, response)
    }
    let identity = authenticator.identify(request, now: loop.now)
    if request.query == nil, serveHeld(audience, .field, to: identity, request, response) { return }
    do throws(Problem) {
      let query = try TokenQuery(audience: audience, request, isForwarded: true)
      give(query, .forwardAuth, to: identity, request, response)
    } catch {
      response.send(error, to: request)
    }
  }
}
