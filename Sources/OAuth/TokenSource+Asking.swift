import Basics
import HTTPClient

/// Asking the token endpoint.
extension TokenSource {
  /// The token that the tenant answers with, unchecked.
  func ask(
    _ grant: Grant, _ endpoints: Endpoints, as credentials: PassThroughCredentials?, in trace: TraceContext?,
    deadline: Instant
  ) async throws(TokenError) -> (UncheckedToken, HTTPClient.Response) {
    let (response, resends) = try await request(
      grant, to: endpoints.tokenURL, as: credentials, in: trace, deadline: deadline)
    do throws(TokenError) {
      let token = UncheckedToken(
        try TokenResponse(response), asked: response.requestedAt, quota: QuotaBucket.all(in: response),
        upstreamRequestID: response.upstreamRequestID, resends: resends)
      return (token, response)
    } catch {
      throw error.with(response, after: resends)
    }
  }

  private func error(_ refusal: Refusal, ofClient isClients: Bool) -> TokenError {
    var error = refusal.tokenError(now: Int(WallClock.now))
    if !isClients, refusal.isOfCredentials {
      error.cause = .invalidCaller
      error.message = "the tenant refuses the credentials that the caller gave"
    }
    return error
  }

  /// Credentials that are tried for one token at the most.
  private static let mostCredentials = 4

  /// The answer with a token, asked for with the client's credentials: where its newest secret is refused, with the
  /// older one, because while a secret is rotated either may be the one accepted. What counts is what is current when a
  /// refusal arrives: it says nothing of a secret that has come meanwhile. Tells how often the request was sent again,
  /// and throws the last refusal.
  private func request(
    _ grant: Grant, to tokenURL: String, as passedOn: PassThroughCredentials?, in trace: TraceContext?,
    deadline: Instant
  ) async throws(TokenError) -> (HTTPClient.Response, resends: Int) {
    let token = TokenEndpointRequest(
      tokenURL: tokenURL, clientID: passedOn?.clientID ?? client.clientID,
      parameters: client.dialect.parameters(grant, and: passedOn?.parameters ?? []))
    var refused: Refusal?
    var tried: [Credential] = []
    while tried.count < Self.mostCredentials, let credential = try credential(after: tried, passedOn) {
      tried.append(credential)
      let response: HTTPClient.Response
      do throws(TokenError) {
        response = try await exchange(token, as: credential, in: trace, deadline: deadline)
      } catch {
        var error = error
        error.resends = tried.count - 1
        throw error
      }
      if response.status == 200 {
        if passedOn == nil, let secret = credential.secret { client.secrets?.accepted(secret) }
        return (response, tried.count - 1)
      }
      let brought = passedOn?.parameters.map(\.value) ?? []
      let refusal = Refusal(response, hiding: Redaction(credential, of: token.clientID, and: brought))
      refused = refusal
      if !refusal.isOfCredentials { break }
    }
    guard let refused else { throw TokenError(cause: .brokerMisconfigured, message: "the client has no secret") }
    var last = error(refused, ofClient: passedOn == nil)
    last.resends = tried.count - 1
    throw last
  }

  /// The first of the credentials that are worth trying now and were not tried. Where the tenant has refused a new
  /// secret and then the old one, which it used to take, it has been given the new one in between.
  private func credential(
    after tried: [Credential], _ passedOn: PassThroughCredentials?
  ) throws(TokenError) -> Credential? {
    let authentication = client.authentication
    let candidates =
      if let passedOn { [passedOn.credential] } else { try authentication.candidates() }
    if let next = candidates.first(where: { one in !tried.contains { $0.isSame(as: one) } }) { return next }
    guard tried.count == 2, let old = tried[1].secret, client.secrets?.wasAccepted(old) == true,
      let newest = candidates.first, !newest.isSame(as: tried[1])
    else { return nil }
    return newest
  }

  /// Sends the request, and again where a connection that was kept has ended under it. Each time it is made anew, for
  /// the tenant may have read the one before: it would refuse an assertion that it has seen.
  private func exchange(
    _ token: TokenEndpointRequest, as credential: Credential, in trace: TraceContext?, deadline: Instant
  ) async throws(TokenError) -> HTTPClient.Response {
    var attempt = 0
    while true {
      let left = Instant.now.duration(to: deadline)
      guard left > .zero else { throw .timedOut }
      var request = try await token.authenticated(by: credential, timeout: min(left, timeout))
      if let trace { request.headers.append(("traceparent", trace.traceparent)) }
      request.attempt = attempt
      do throws(HTTPClient.Failure) {
        return try await http.send(request)
      } catch {
        guard error.kind == .lost else { throw TokenError(error) }
        attempt += 1
      }
    }
  }
}
