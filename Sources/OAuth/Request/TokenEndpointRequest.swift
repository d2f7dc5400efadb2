import Basics
import HTTPClient

/// A way to authenticate one request.
enum Credential {
  case post(Secret)
  case basic(Secret, BasicEncoding)
  /// An `Authorization` field as it was found, and what the secret in it may be.
  case given(Secret, [Secret])
  case assertion(AssertionKey, audience: String?)
  /// An assertion as it was found.
  case givenAssertion(Secret, AssertionFile.Kind)
  case certificate(HTTPClient.Identity)

  /// What is secret in it, in each way that it may be read.
  var secrets: [Secret] {
    switch self {
    case .post(let secret), .basic(let secret, _), .givenAssertion(let secret, _): [secret]
    case .given(_, let readings): readings
    case .assertion, .certificate: []
    }
  }

  /// The secret as it is sent.
  var secret: Secret? { secrets.last }

  /// Whether a server that refuses one of two credentials of a client refuses the other.
  func isSame(as other: Credential) -> Bool { secrets == other.secrets }
}

extension ClientAuthentication {
  /// The credentials worth trying now, in this order. Throws `brokerMisconfigured` where there should be one and is
  /// none.
  func candidates() throws(TokenError) -> [Credential] {
    switch self {
    case .secretPost(let secrets): secrets.candidates.map { .post($0) }
    case .secretBasic(let secrets, let encoding): secrets.candidates.map { .basic($0, encoding) }
    case .privateKeyJWT(let key, let audience): [.assertion(key, audience: audience)]
    case .assertionFile(let file): [.givenAssertion(try file.read(), file.kind)]
    case .tlsClient(let identity): [.certificate(identity)]
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
    case .basic(let secret, let encoding):
      // A server may take the same id in a second place for a second way to authenticate.
      proof = []
      request.authorization = BasicCredentials.value(clientID: clientID, secret: secret, encoding)
    case .given(let authorization, _):
      proof = []
      request.authorization = authorization
    case .assertion(let key, let audience):
      let assertion = ClientAssertion(clientID: clientID, audience: audience ?? tokenURL)
      proof += Self.proof(try await assertion.signed(with: key), .bearer)
    case .givenAssertion(let assertion, let kind): proof += Self.proof(assertion, kind)
    case .certificate(let identity): request.identity = identity
    }
    request.body = FormEncoding.body(parameters + proof)
    return request
  }

  /// RFC 7523 §2.2.
  private static func proof(_ assertion: Secret, _ kind: AssertionFile.Kind) -> [FormParameter] {
    let type = "urn:ietf:params:oauth:client-assertion-type:\(kind.rawValue)"
    return [FormParameter("client_assertion_type", type), FormParameter("client_assertion", assertion)]
  }
}
