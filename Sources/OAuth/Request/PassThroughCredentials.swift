package import Basics

/// Credentials to use for one request instead of the client's own, and what is asked for with them.
package struct PassThroughCredentials: Sendable {
  package struct Pair: Sendable {
    package let clientID: String
    package let secret: Secret

    package init(clientID: String, secret: Secret) {
      self.clientID = clientID
      self.secret = secret
    }
  }

  /// What they may mean to the tenant, at least one, and as they came at the end.
  private let readings: [Pair]
  /// The `Authorization` field that they came in, which goes on as it is; nil: they go into the body.
  package let authorization: Secret?
  /// What is sent beside the grant, in the order of the names. Any of it may be secret.
  package let parameters: [(name: String, value: Secret)]

  package init(
    clientID: String, secret: Secret, authorization: Secret? = nil, parameters: [(name: String, value: Secret)] = []
  ) {
    let pair = Pair(clientID: clientID, secret: secret)
    self.init(asGiven: pair, authorization: authorization, parameters: parameters)
  }

  /// `decoded` is what a tenant reads that takes the pair for form-encoded (RFC 6749 §2.3.1), where that differs.
  package init(
    asGiven: Pair, decoded: Pair? = nil, authorization: Secret?, parameters: [(name: String, value: Secret)]
  ) {
    readings = (decoded.map { [$0] } ?? []) + [asGiven]
    self.authorization = authorization
    self.parameters = parameters
  }

  package var asGiven: Pair { readings[readings.count - 1] }
  /// The client that they are of: one, however it is spelled.
  package var clientID: String { readings[0].clientID }

  var credential: Credential { authorization.map { .given($0, readings.map(\.secret)) } ?? .post(asGiven.secret) }
}
