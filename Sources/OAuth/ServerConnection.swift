package import HTTPClient

/// How an authorization server is reached.
package struct ServerConnection: Sendable, Equatable {
  /// Whose certificates are believed.
  package var trust: HTTPClient.Trust
  /// A proxy's URL; empty for none at all, nil for what the environment says.
  package var proxy: String?
  package var userAgent: String
  package var connectTimeout: Duration
  /// For one request to the token endpoint.
  package var timeout: Duration

  package init(
    trust: HTTPClient.Trust = .system, proxy: String? = nil, userAgent: String = "token-broker",
    connectTimeout: Duration = .seconds(5), timeout: Duration = .seconds(10)
  ) {
    self.trust = trust
    self.proxy = proxy
    self.userAgent = userAgent
    self.connectTimeout = connectTimeout
    self.timeout = timeout
  }
}

extension HTTPClient {
  convenience init(_ connection: ServerConnection) throws(Failure) {
    try self.init(
      trust: connection.trust, proxy: connection.proxy, userAgent: connection.userAgent,
      connectTimeout: connection.connectTimeout)
  }
}
