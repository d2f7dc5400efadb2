package import OAuth

/// What a cached token is for: the client that asks, and what it asks for.
package struct TokenKey: Hashable, Sendable {
  /// The name of the configured client, not its client id.
  package let client: String
  package let grant: Grant
  /// Of the credentials that somebody brought along, instead of the client's: nobody else's find the token.
  package let holder: KeyDigest?

  package init(client: String, grant: Grant, holder: KeyDigest? = nil) {
    self.client = client
    self.grant = grant
    self.holder = holder
  }
}
