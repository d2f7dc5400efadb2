package import HTTPClient

/// How a client proves to the token endpoint that it is itself.
package enum ClientAuthentication: Sendable {
  /// `client_secret_post`: the secret in the body (RFC 6749 §2.3.1).
  case secretPost(ClientSecrets)
  /// `client_secret_basic`: the secret in the header (RFC 6749 §2.3.1).
  case secretBasic(ClientSecrets, BasicEncoding = .form)
  /// `private_key_jwt` (RFC 7523 §2.2). `audience` is what its `aud` says; nil for the server's usual one: an Auth0
  /// tenant's issuer, and any other's token endpoint.
  case privateKeyJWT(AssertionKey, audience: String? = nil)
  /// `private_key_jwt` with an assertion that is made elsewhere.
  case assertionFile(AssertionFile)
  /// `tls_client_auth`: the certificate that the connection is made with (RFC 8705 §2.1).
  case tlsClient(HTTPClient.Identity)

  /// The client's secrets, where it has any.
  package var secrets: ClientSecrets? {
    switch self {
    case .secretPost(let secrets), .secretBasic(let secrets, _): secrets
    case .privateKeyJWT, .assertionFile, .tlsClient: nil
    }
  }

  /// The certificate that connections to the token endpoint are made with; nil for the other ways.
  var identity: HTTPClient.Identity? { if case .tlsClient(let identity) = self { identity } else { nil } }

  /// The file with its assertions, where they are made elsewhere.
  package var assertionFile: AssertionFile? { if case .assertionFile(let file) = self { file } else { nil } }
}
