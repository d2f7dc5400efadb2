package import Basics

/// Credentials to use for one request instead of the client's own, and what is asked for with them.
package struct PassThroughCredentials: Sendable {
  package let clientID: String
  package let secret: Secret
  /// The `Authorization` field that they came in, which goes on as it is; nil: they go into the body.
  package let authorization: Secret?
  /// What is sent beside the grant, in the order of the names. Any of it may be secret.
  package let parameters: [(name: String, value: Secret)]

  package init(
    clientID: String, secret: Secret, authorization: Secret? = nil, parameters: [(name: String, value: Secret)] = []
  ) {
    self.clientID = clientID
    self.secret = secret
    self.authorization = authorization
    self.parameters = parameters
  }

  var credential: Credential { authorization.map { .given($0, secret) } ?? .post(secret) }
}
