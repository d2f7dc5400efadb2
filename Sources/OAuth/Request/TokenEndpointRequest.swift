import Basics
import HTTPClient

/// A way to authenticate one request.
enum Credential {
  case post(Secret)
  case basic(Secret)
  case assertion(AssertionKey, audience: String?)
  case certificate(HTTPClient.Identity)

  var secret: Secret? {
    switch self {
    case .post(let secret), .basic(let secret): secret
    case .assertion, .certificate: nil
    }
  }
}

extension ClientAuthentication {
  /// The credentials worth trying, in this order.
  var candidates: [Credential] {
    switch self {
    case .secretPost(let secrets): secrets.candidates.map { .post($0) }
    case .secretBasic(let secrets): secrets.candidates.map { .basic($0) }
    case .privateKeyJWT(let key, let audience): [.assertion(key, audience: audience)]
    case .tlsClient(let identity): [.certificate(identity)]
    }
  }
}

extension PassThroughCredentials {
  var credential: Credential {
    switch method {
    case .post: .post(secret)
    case .basic: .basic(secret)
    }
  }
}

/// A request for a token, still without the proof of who asks.
struct TokenEndpointRequest {
  let tokenURL: String
  let clientID: String
  /// The grant, in the server's dialect.
  let parameters: [FormParameter]

  /// The request as it is sent. Throws `brokerMisconfigured` where the assertion cannot be made.
  func authenticated(by credential: Credential, timeout: Duration) async throws(TokenError) -> HTTPClient.Request {
    var request = HTTPClient.Request(
      url: tokenURL, headers: [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")],
      timeout: timeout)
    var proof: [FormParameter] = [FormParameter("client_id", clientID)]
    switch credential {
    case .post(let secret): proof.append(FormParameter("client_secret", secret))
    case .basic(let secret):
      // A server may take the same id in a second place for a second way to authenticate.
      proof = []
      request.authorization = BasicCredentials.value(clientID: clientID, secret: secret)
    case .assertion(let key, let audience):
      let assertion = ClientAssertion(clientID: clientID, audience: audience ?? tokenURL)
      proof.append(FormParameter("client_assertion_type", ClientAssertion.type))
      try await proof.append(FormParameter("client_assertion", assertion.signed(with: key)))
    case .certificate(let identity): request.identity = identity
    }
    request.body = FormEncoding.body(parameters + proof)
    return request
  }
}
