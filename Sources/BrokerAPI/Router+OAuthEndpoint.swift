import HTTPServer
import IO
import OAuth

extension Router {
  /// `POST /oauth/token`, for existing OAuth clients.
  func oauthToken(_ request: Request, _ response: ResponseWriter) {
    if let objection = policy.guards.objection(to: request) { return refuse(objection, .oauth, request, response) }
    do throws(Problem) {
      let asked = try GrantRequest(
        contentType: request.text(of: "content-type"), authorization: request.text(of: "authorization"),
        body: request.array(at: request.body))
      let identity = authenticator.identify(asked.credentials, request, now: loop.now)
      give(asked.query, .oauthToken, to: identity, request, response)
    } catch {
      response.send(error, .oauth, to: request)
    }
  }
}
