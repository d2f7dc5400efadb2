import Basics
import BrokerCore
import HTTPServer
import IO

extension Router {
  /// How long the tenant may take to say where its keys are.
  private static let keySetTimeout = Duration.seconds(2)

  /// `/.well-known/oauth-authorization-server` and `/.well-known/openid-configuration`, perhaps with the path of an
  /// issuer before or behind them.
  func metadata(_ endpoint: Endpoint, issuerPath: Range<Int>, _ request: Request, _ response: ResponseWriter) {
    if let objection = policy.guards.objection(to: request) { return refuse(objection, endpoint, request, response) }
    let path = request.text(at: issuerPath)
    guard BrokerMetadata.isPath(path) else {
      return response.send(Problem(.notFound, "there is nothing at this path"), to: request)
    }
    guard let base = policy.publicURL ?? request.url(policy.guards) else {
      return response.send(
        Problem(.notFound, "the broker does not know its own URL: publicURL or allowedHosts must be set"), to: request)
    }
    let isBehind = issuerPath.lowerBound > request.path.lowerBound
    let document = BrokerMetadata(
      at: base, path: path, isBehind: isBehind, isOpenID: endpoint == .openIDMetadata,
      asksNobody: policy.callers == nil)
    let (upstreams, client, answer) = (services.upstreams, policy.mainClient, deferred(response, endpoint))
    let deadline = loop.now.advanced(by: Self.keySetTimeout)
    Task {
      let keySetURL = await upstreams.keySetURL(of: client, by: deadline)
      answer.send(document.response(keySetURL: keySetURL))
    }
  }
}

extension Request {
  /// What the request was sent to, without a path; nil where the host that it names cannot be relied on. A client that
  /// calls this machine by a loopback name is on it.
  fileprivate func url(_ guards: RequestGuards) -> URLParts? {
    let believed = guards.believedHost(of: self)
    guard let host = believed ?? host.map({ text(at: $0) }),
      let url = URLParts("\(isTLS ? "https" : "http")://\(host)"), url.path.isEmpty, url.user == nil,
      url.query == nil, url.fragment == nil, believed != nil || url.isLoopback
    else { return nil }
    return url
  }
}
