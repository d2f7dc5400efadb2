package import Basics

/// A client of an authorization server: where it asks, as whom, in which dialect, and whose tokens it accepts.
package struct OAuthClient: Sendable {
  package enum Location: Sendable {
    case fixed(Endpoints)
    /// Read from the issuer's metadata when they are first needed (OpenID Connect Discovery §4, RFC 8414 §3).
    case discovered(issuer: String)
  }

  /// The name it has in configuration, logs and metrics.
  package let name: String
  package let clientID: String
  package let authentication: ClientAuthentication
  package let location: Location
  package let dialect: Dialect
  /// Whether a token must name the audience that was asked for; false for servers that put no `aud` into theirs.
  package let checksAudience: Bool
  /// How long an opaque token lives, where the server's answers do not say so.
  package let tokenLifetime: Duration?

  /// Throws for an issuer whose URL is not https, or http to this machine itself, or has a query.
  package init(
    name: String, clientID: String, authentication: ClientAuthentication, location: Location,
    dialect: Dialect = .standard, checksAudience: Bool = true, tokenLifetime: Duration? = nil
  ) throws(InvalidSetting) {
    if case .discovered(let issuer) = location {
      try Endpoints.check(issuer, "issuer")
      if issuer.contains("?") { throw InvalidSetting("issuer", "expected a URL without a query") }
    }
    self.init(unchecked: name, clientID, authentication, location, dialect, checksAudience, tokenLifetime)
  }

  private init(
    unchecked name: String, _ clientID: String, _ authentication: ClientAuthentication, _ location: Location,
    _ dialect: Dialect, _ checksAudience: Bool, _ tokenLifetime: Duration?
  ) {
    self.name = name
    self.clientID = clientID
    self.authentication = authentication
    self.location = location
    self.dialect = dialect
    self.checksAudience = checksAudience
    self.tokenLifetime = tokenLifetime
  }

  /// An Auth0 application. `baseURL` is `https://host[:port]`, without a slash at the end.
  package static func auth0(
    name: String = "default", baseURL: String, clientID: String, authentication: ClientAuthentication,
    tokenLifetime: Duration? = nil
  ) -> OAuthClient {
    let endpoints = Endpoints.auth0(baseURL: baseURL)
    var authentication = authentication
    if case .privateKeyJWT(let key, nil) = authentication {
      authentication = .privateKeyJWT(key, audience: endpoints.issuer)
    }
    return OAuthClient(unchecked: name, clientID, authentication, .fixed(endpoints), .standard, true, tokenLifetime)
  }

  /// An Auth0 application with its secrets, the newest first, which are sent in the body.
  package static func auth0(
    name: String = "default", baseURL: String, clientID: String, secrets: [Secret]
  ) -> OAuthClient {
    auth0(name: name, baseURL: baseURL, clientID: clientID, authentication: .secretPost(ClientSecrets(secrets)))
  }

  /// Whether its endpoints are those of an Auth0 tenant.
  package var isAuth0: Bool {
    guard case .fixed(let endpoints) = location, let issuer = endpoints.issuer, issuer.last == "/" else { return false }
    return endpoints == .auth0(baseURL: String(issuer.dropLast()))
  }

  /// What `iss` must be in its tokens; nil where they are not checked.
  package var issuer: String? {
    switch location {
    case .fixed(let endpoints): endpoints.issuer
    case .discovered(let issuer): issuer
    }
  }

  /// Whether its tokens can be checked, as far as it is known beforehand.
  package var canVerify: Bool {
    switch location {
    case .fixed(let endpoints): endpoints.issuer != nil && endpoints.jwksURL != nil
    case .discovered: true
    }
  }

  /// Clients that have this in common get the same tokens for the same grants, however they authenticate.
  package var identity: [String] {
    let place: [String?] =
      switch location {
      case .fixed(let endpoints): [endpoints.tokenURL, endpoints.jwksURL, endpoints.issuer]
      case .discovered(let issuer): [issuer]
      }
    let words = [dialect.audienceParameter.rawValue, dialect.scopeTemplate, "\(checksAudience)", clientID]
    return (place + words).map { $0.map { "=\($0)" } ?? "" } + dialect.extraParameters.flatMap { [$0.name, $0.value] }
  }

  /// Whether it asks the same server under the same client id, whatever else differs.
  package func isSameClient(as other: OAuthClient) -> Bool {
    clientID == other.clientID && !Set(places).isDisjoint(with: other.places)
  }

  /// What its server is known by: its issuer, and where tokens are asked for.
  private var places: [String] {
    switch location {
    case .fixed(let endpoints): [endpoints.tokenURL] + (endpoints.issuer.map { [$0] } ?? [])
    case .discovered(let issuer): [issuer]
    }
  }

  /// The client's secrets, where it authenticates with any.
  package var secrets: ClientSecrets? { authentication.secrets }
}
