/// A client of an authorization server: where to ask, as whom, and whose tokens to believe.
package struct OAuthClient: Sendable {
  /// The name it has in configuration, logs and metrics.
  package let name: String
  package let tokenURL: String
  package let jwksURL: String
  /// What `iss` must be, byte for byte.
  package let issuer: String
  package let clientID: String
  package let secrets: ClientSecrets

  /// An Auth0 application with its secrets, the newest first. `baseURL` is `https://host[:port]`, without a slash at the end.
  package static func auth0(
    name: String = "default", baseURL: String, clientID: String, secrets: [Secret]
  ) -> OAuthClient {
    OAuthClient(
      name: name, tokenURL: "\(baseURL)/oauth/token", jwksURL: "\(baseURL)/.well-known/jwks.json",
      issuer: "\(baseURL)/", clientID: clientID, secrets: ClientSecrets(secrets))
  }
}
