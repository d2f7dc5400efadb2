/// A client of an authorization server: where to ask, as whom, and whose tokens to believe.
package struct OAuthClient: Sendable {
  /// The name it has in configuration, logs and metrics.
  package let name: String
  package let tokenURL: String
  package let jwksURL: String
  /// What `iss` must be, byte for byte.
  package let issuer: String
  package let clientID: String
  /// The newest first; while a secret is rotated either may be the one accepted.
  package let secrets: [Secret]

  /// An Auth0 application. `baseURL` is `https://host[:port]`, without a slash at the end.
  package static func auth0(
    name: String = "default", baseURL: String, clientID: String, secrets: [Secret]
  ) -> OAuthClient {
    OAuthClient(
      name: name, tokenURL: "\(baseURL)/oauth/token", jwksURL: "\(baseURL)/.well-known/jwks.json",
      issuer: "\(baseURL)/", clientID: clientID, secrets: secrets)
  }
}
