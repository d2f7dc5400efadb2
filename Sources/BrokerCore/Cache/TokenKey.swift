package import Basics
package import OAuth

/// A configured client, as the cache tells them apart.
package struct UpstreamID: Hashable, Sendable {
  /// Its name in the configuration, not its client id.
  package let name: String
  /// Another one where the configuration has made another client of the name: what is held, remembered and under way of the
  /// old one then has nothing to do with the new.
  package let generation: Int

  package init(_ name: String, generation: Int = 0) {
    self.name = name
    self.generation = generation
  }
}

extension UpstreamID: ExpressibleByStringLiteral {
  package init(stringLiteral name: String) { self.init(name) }
}

/// What a cached token is for: the client that asks, and what it asks for.
package struct TokenKey: Hashable, Sendable {
  package let client: UpstreamID
  package let grant: Grant
  /// Of the credentials that somebody brought along, instead of the client's: nobody else's find the token.
  package let holder: SHA256Digest?

  package init(client: UpstreamID, grant: Grant, holder: SHA256Digest? = nil) {
    self.client = client
    self.grant = grant
    self.holder = holder
  }
}
