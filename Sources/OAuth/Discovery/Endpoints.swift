import Basics

/// Where a server is asked for tokens, and what its tokens are checked by.
package struct Endpoints: Sendable, Equatable {
  package let tokenURL: String
  package let jwksURL: String?
  /// What `iss` must be, byte for byte.
  package let issuer: String?

  /// `jwksURL` and `issuer` are both needed to check tokens; without them only opaque ones can be minted.
  /// Throws for a URL that is not https, or http to this machine itself.
  package init(tokenURL: String, jwksURL: String? = nil, issuer: String? = nil) throws(InvalidSetting) {
    try Self.check(tokenURL, "tokenURL")
    if let jwksURL { try Self.check(jwksURL, "jwksURL") }
    self.init(unchecked: tokenURL, jwksURL: jwksURL, issuer: issuer)
  }

  private init(unchecked tokenURL: String, jwksURL: String?, issuer: String?) {
    self.tokenURL = tokenURL
    self.jwksURL = jwksURL
    self.issuer = issuer
  }

  /// The endpoints of an Auth0 tenant; `baseURL` is `https://host[:port]`, without a slash at the end.
  static func auth0(baseURL: String) -> Endpoints {
    Endpoints(unchecked: "\(baseURL)/oauth/token", jwksURL: "\(baseURL)/.well-known/jwks.json", issuer: "\(baseURL)/")
  }

  /// Throws for a URL that no secret may be sent to: it goes over TLS only, or to this machine itself.
  static func check(_ url: String, _ setting: String) throws(InvalidSetting) {
    if let parts = URLParts(url), parts.isConfidential, parts.user == nil, parts.fragment == nil { return }
    // Without what was found: a URL may hold a password.
    throw InvalidSetting(
      setting, "expected an https:// URL without a password; http:// is for 127.0.0.1, [::1] and localhost")
  }
}
