package import OAuth

/// What a cached token is for: the client that asks, and what it asks for.
package struct TokenKey: Hashable, Sendable {
  /// The name of the configured client, not its client id.
  package let client: String
  package let grant: Grant

  package init(client: String, grant: Grant) {
    self.client = client
    self.grant = grant
  }
}
