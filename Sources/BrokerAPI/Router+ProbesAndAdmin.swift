import Basics
import BrokerCore
import HTTPServer
import IO
import Telemetry

/// What is no token: probes, metrics, the status, and what is not there.
extension Router {
  func nothing(_ request: Request, _ response: ResponseWriter) {
    // Asked of the server as a whole, which has no more to say than that it is there (RFC 9110 §9.3.7).
    if request.method == .options, request.equals("*", at: request.path) {
      return response.send(Response(200, fields: [("Cache-Control", "no-store")]))
    }
    response.send(Problem(.notFound, "there is nothing at this path"), to: request)
  }

  func health(_ response: ResponseWriter) { response.send(Self.state("ok", reasons: [])) }

  func readiness(_ response: ResponseWriter) {
    let reasons = services.health.reasonsNotReady(at: loop.now)
    let state = reasons.isEmpty ? "ok" : services.health.isDraining ? "draining" : "not_ready"
    response.send(Self.state(state, reasons: reasons))
  }

  private static func state(_ state: String, reasons: [String]) -> Response {
    var members = [(name: "status", value: JSONText.string(state))]
    if !reasons.isEmpty { members.append(("reasons", JSONText.array(reasons.map { JSONText.string($0) }))) }
    return Response(
      reasons.isEmpty ? 200 : 503,
      fields: [("Content-Type", "application/json"), ("Cache-Control", "no-store")], body: JSONText.object(members))
  }

  func metrics(_ request: Request, _ response: ResponseWriter) {
    let format = MetricsText.Format(accept: request.text(of: "accept"))
    let answer = deferred(response, .metrics)
    Task { [metrics = services.metrics] in
      answer.send(
        Response(
          200, fields: [("Content-Type", format.contentType), ("Cache-Control", "no-store")],
          body: await metrics.text(format)))
    }
  }

  func statusReport(_ response: ResponseWriter) {
    let answer = deferred(response, .statusReport)
    Task { [status = services.status] in answer.send(await status.report()) }
  }
}
