package import Basics
package import OAuth

/// What a cached token is for: the client that asks, and what it asks for.
package struct TokenKey: Hashable, Sendable {
  package let client: UpstreamID
  package let grant: Grant
  /// Tells apart who brought credentials along, to be used instead of the client's: nobody else finds the token.
  package let holder: SHA256Digest?

  package init(client: UpstreamID, grant: Grant, holder: SHA256Digest? = nil) {
    self.client = client
    self.grant = grant
    self.holder = holder
  }

  package var audience: String { grant.audience }
  package var scope: String? { grant.scope }
  package var organization: String? { grant.organization }
}
