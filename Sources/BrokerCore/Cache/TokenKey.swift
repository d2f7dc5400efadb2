package import Basics
package import OAuth

/// What a cached token is for: the client that asks, and what it asks for. Many places hold a key of each token, so it
/// is a reference.
package struct TokenKey: Sendable {
  private let parts: Parts

  private final class Parts: Sendable {
    let client: UpstreamID
    let grant: Grant
    let holder: Holder?

    init(_ client: UpstreamID, _ grant: Grant, _ holder: Holder?) {
      self.client = client
      self.grant = grant
      self.holder = holder
    }
  }

  /// An object, because most keys have none.
  private final class Holder: Sendable {
    let digest: SHA256Digest

    init(_ digest: SHA256Digest) { self.digest = digest }
  }

  package init(client: UpstreamID, grant: Grant, holder: SHA256Digest? = nil) {
    parts = Parts(client, grant, holder.map(Holder.init))
  }

  package var client: UpstreamID { parts.client }
  package var grant: Grant { parts.grant }
  /// Tells apart who brought credentials along, to be used instead of the client's: nobody else finds the token.
  package var holder: SHA256Digest? { parts.holder?.digest }

  package var audience: String { parts.grant.audience }
  package var scope: String? { parts.grant.scope }
  package var organization: String? { parts.grant.organization }
}

extension TokenKey: Hashable {
  package static func == (left: TokenKey, right: TokenKey) -> Bool {
    left.parts === right.parts
      || left.client == right.client && left.grant == right.grant && left.holder == right.holder
  }

  package func hash(into hasher: inout Hasher) {
    hasher.combine(client)
    hasher.combine(grant)
    hasher.combine(holder)
  }
}
