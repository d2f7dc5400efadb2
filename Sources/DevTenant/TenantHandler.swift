import Basics
import Glibc
import HTTPServer
import IO
import Synchronization

/// The tenant's routes.
final class TenantHandler: RequestHandler {
  private let tenant: DevTenant

  init(tenant: DevTenant) { self.tenant = tenant }

  func handle(_ request: Request, _ response: ResponseWriter) {
    switch request.text(at: request.path) {
    case "/oauth/token":
      guard request.method == .post else {
        return send(.refusal(405, "method_not_allowed", "the method here is POST"), after: .zero, response)
      }
      let (parent, state) = (request.text(of: "traceparent"), request.text(of: "tracestate"))
      tenant.state.withLock { ($0.statistics.lastTraceparent, $0.statistics.lastTracestate) = (parent, state) }
      let asked = TokenRequest(
        contentType: request.text(of: "content-type"), authorization: request.text(of: "authorization"),
        body: request.array(at: request.body))
      send(tokenReply(to: asked, isHTTP2: request.isHTTP2), after: tenant.state.withLock(\.latency), response)
    case "/.well-known/jwks.json": send(keySet(), after: .zero, response)
    case "/.well-known/openid-configuration": send(configuration, after: .zero, response)
    case "/dev/statistics":
      response.send(Response(200, fields: [("Content-Type", "application/json")], body: tenant.statistics.json))
    case "/dev/redirected":
      tenant.count { $0.redirectsFollowed += 1 }
      response.send(Response(200))
    default: send(.refusal(404, "not_found", "there is nothing at this path"), after: .zero, response)
    }
  }

  private func send(_ reply: Reply, after latency: Duration, _ response: ResponseWriter) {
    let clockOffset = tenant.state.withLock(\.clockOffset)
    let reply = clockOffset == 0 ? reply : reply.dated(time(nil) + clockOffset)
    if case .response(let answer) = reply, latency == .zero { return response.send(answer) }
    let deferred = response.deferred()
    Task {
      // A slow tenant is what was ordered, and what a test then waits for is the answer.
      if latency > .zero { try await Task.sleep(for: latency) }
      switch reply {
      case .response(let answer): deferred.send(answer)
      case .verbatim(let pieces, let pause, let ending):
        for piece in pieces.dropLast() {
          deferred.send(verbatim: piece, then: .more)
          // The fault itself: an answer that comes in pieces.
          try await Task.sleep(for: pause)
        }
        deferred.send(verbatim: pieces.last ?? [], then: ending)
      case .never: break
      }
    }
  }

  // MARK: Tokens

  private func tokenReply(to request: TokenRequest, isHTTP2: Bool) -> Reply {
    let audience = request.audience ?? ""
    let (endpoint, fault) = tenant.state.withLock { state in
      let endpoint = TokenEndpoint(
        issuer: tenant.baseURL + "/", clientID: tenant.clientID, secrets: state.secrets, audiences: tenant.audiences,
        grantsEverything: tenant.grantsEverything, lifetime: state.lifetime, key: state.keys[0],
        now: time(nil) + state.clockOffset)
      return (endpoint, Self.nextFault(for: audience, state))
    }
    let (reply, isGranted) = reply(to: request, endpoint, fault)
    // This sends the client to HTTP/1.1, and it is the request there that counts.
    if isHTTP2, case .verbatim = reply { return reply }
    tenant.state.withLock { state in
      if state.scripts[audience]?.isEmpty == false { state.scripts[audience]?.removeFirst() }
    }
    tenant.count { statistics in
      statistics.tokenRequests += 1
      guard isGranted else { return }
      statistics.mints += 1
      statistics.mintsByAudience[audience, default: 0] += 1
    }
    return reply
  }

  private func reply(to request: TokenRequest, _ endpoint: TokenEndpoint, _ fault: Fault?) -> (Reply, isGranted: Bool) {
    do {
      let grant = try endpoint.decide(request)
      let reply = try fault.map { try endpoint.play($0, grant) } ?? endpoint.success(grant)
      if case .response(let response) = reply { return (reply, response.status == 200) }
      return (reply, true)
    } catch let refused as TokenEndpoint.Refused {
      return (refused.reply, false)
    } catch {
      return (.refusal(500, "server_error", "\(error)"), false)
    }
  }

  private static func nextFault(for audience: String, _ state: DevTenant.State) -> Fault? {
    if let fault = state.scripts[audience]?.first { return fault }
    if state.failureShare > 0, Double.random(in: 0..<1) < state.failureShare { return .serverErrorHTML }
    return Fault(audience: audience)
  }

  // MARK: Documents

  private func keySet() -> Reply {
    tenant.count { $0.keySetRequests += 1 }
    let (keys, mode) = tenant.state.withLock { ($0.keys, $0.keySetMode) }
    do {
      var documents = try keys.map { try $0.jwk() }
      switch mode {
      case .normal: break
      case .failing: return .refusal(500, "server_error", "The key set is not available")
      case .empty: documents = []
      case .decoys: documents = Self.decoys + documents
      case .duplicateID:
        let other = String(decoding: try SigningKey().jwk(), as: UTF8.self)
        let id = #""kid":"\#(keys[0].id)""#
        documents.insert(Array(other.replacing(/"kid":"[^"]*"/, with: id).utf8), at: 0)
      }
      return .json(200, [("keys", JSONText.array(documents))], fields: [("Cache-Control", "public, max-age=15")])
    } catch {
      return .refusal(500, "server_error", "\(error)")
    }
  }

  /// A key for encryption, one that is symmetric, one of an unknown kind, and one that is broken.
  private static let decoys = [
    #"{"kty":"RSA","use":"enc","kid":"encryption","n":"AQAB","e":"AQAB"}"#,
    #"{"kty":"oct","use":"sig","kid":"symmetric","k":"c2VjcmV0"}"#, #"{"kty":"XYZ","kid":"unknown"}"#,
    #"{"kty":"RSA","use":"sig","kid":"broken"}"#,
  ].map { Array($0.utf8) }

  private var configuration: Reply {
    .json(
      200,
      [
        ("issuer", JSONText.string(tenant.baseURL + "/")),
        ("token_endpoint", JSONText.string(tenant.baseURL + "/oauth/token")),
        ("jwks_uri", JSONText.string(tenant.baseURL + "/.well-known/jwks.json")),
      ])
  }
}
