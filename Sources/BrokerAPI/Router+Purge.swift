import Basics
import BrokerCore
import HTTPServer
import OAuth
import Telemetry

/// Operators throw tokens away, so that whoever asks next is given a new one, and have the tenant asked again.
extension Router {
  /// `DELETE /tokens/{audience}`: those of an audience, of every client, scope and organization.
  func purge(audience range: Range<Int>, _ request: Request, _ response: ResponseWriter) {
    purge(.audiencePurge, request, response) { () throws(Problem) in
      let audience = try TokenQuery.audience(at: range, request)
      _ = try TokenQuery.parameters(of: request, known: [])
      let listed = policy.audiences.key(for: Grant(audience: audience))
      return PurgeRequest(subject: ("audience", audience), listed: listed.map { [$0] } ?? []) {
        $0.audience.utf8.elementsEqual(audience.utf8)
      }
    }
  }

  /// `DELETE /tokens?client={name}`: those of a client, and of whoever brings credentials of its tenant.
  func purgeClient(_ request: Request, _ response: ResponseWriter) {
    purge(.clientPurge, request, response) { () throws(Problem) in
      guard let name = try TokenQuery.parameters(of: request, known: ["client"])["client"] else {
        throw Problem(.invalidRequest, "whose tokens? Either /tokens/AUDIENCE or /tokens?client=NAME")
      }
      guard policy.clients.contains(name) else {
        let known = policy.clients.sorted().joined(separator: ", ")
        throw Problem(.notFound, "there is no client of this name; there are: \(known)")
      }
      let listed = policy.audiences.names.compactMap { policy.audiences.key(for: Grant(audience: $0)) }
      return PurgeRequest(subject: ("client", name), listed: listed.filter { $0.client.name == name }) {
        $0.client.isOf(name)
      }
    }
  }

  /// `POST /retry/{audience}`: the tenant is asked again for a token that was not to be had.
  func retry(_ range: Range<Int>, _ request: Request, _ response: ResponseWriter) {
    do throws(Problem) {
      let audience = try TokenQuery.audience(at: range, request)
      let parameters = try TokenQuery.parameters(of: request, known: ["scope", "organization"])
      let query = try TokenQuery(
        audience: audience, scope: parameters["scope"], organization: parameters["organization"])
      let key = try policy.audiences.key(for: query.grant(for: nil))
      let (identity, answer) = (RequestIdentity(request), deferred(response, .retry))
      Task { [services] in
        let retry = if let key { await services.broker.retry(key, for: identity) } else { Retry.unneeded }
        switch retry {
        case .unneeded: break
        case .minted: services.audit.retried(audience: audience, error: nil, identity)
        case .failed(let error): services.audit.retried(audience: audience, error: error.cause.rawValue, identity)
        }
        answer.send(Response(retry))
      }
    } catch {
      response.send(error, to: request)
    }
  }

  private func purge(
    _ endpoint: Endpoint, _ request: Request, _ response: ResponseWriter,
    _ read: () throws(Problem) -> PurgeRequest
  ) {
    do throws(Problem) {
      let asked = try read()
      let (identity, answer) = (RequestIdentity(request), deferred(response, endpoint))
      Task { [services] in
        let purge = await services.broker.purge(listed: asked.listed, asked.isMeant)
        services.audit.purged(purge, asked.subject, identity)
        answer.send(Response(purge))
      }
    } catch {
      response.send(error, to: request)
    }
  }
}

/// Which tokens are to be thrown away.
private struct PurgeRequest: Sendable {
  /// What the request names, as the log does.
  let subject: (name: String, value: String)
  /// What the store may have though nothing is known of it here.
  let listed: [TokenKey]
  let isMeant: @Sendable (TokenKey) -> Bool
}

extension Response {
  fileprivate init(_ retry: Retry) {
    var members = [("outcome", JSONText.string(retry.word))]
    if case .failed(let error) = retry {
      members.append(("error", JSONText.string(error.cause.rawValue)))
      members.append(("error_description", JSONText.string(error.message)))
    }
    self.init(
      200, fields: [("Content-Type", "application/json"), ("Cache-Control", "no-store")],
      body: JSONText.object(members))
  }

  fileprivate init(_ purge: Purge) {
    var members = [
      ("dropped", JSONText.number(purge.dropped)), ("kept", JSONText.number(purge.kept)),
      ("mints", JSONText.number(purge.mints)),
    ]
    if let isCleared = purge.isStoreCleared {
      members.append(("store", JSONText.string(isCleared ? "cleared" : "unavailable")))
    }
    self.init(
      200, fields: [("Content-Type", "application/json"), ("Cache-Control", "no-store")],
      body: JSONText.object(members))
  }
}
