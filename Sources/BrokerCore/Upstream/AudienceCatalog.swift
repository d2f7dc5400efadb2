package import OAuth

/// Which audiences are served, and what is asked of whom for each.
package struct AudienceCatalog: Sendable {
  /// What is asked for where a request names nothing itself.
  package struct Entry: Sendable {
    package let client: String
    package let scope: String?
    package let organization: String?
    package let verification: Verification
    /// Held from the start and always replaced in time, whether or not anybody asks for it.
    package let isPrefetched: Bool

    package init(
      client: String, scope: String? = nil, organization: String? = nil, verification: Verification = .jwt,
      isPrefetched: Bool = false
    ) {
      self.client = client
      self.scope = scope
      self.organization = organization
      self.verification = verification
      self.isPrefetched = isPrefetched
    }
  }

  private var listed: [[UInt8]: Entry]
  /// For audiences that are not listed; nil: they are not served.
  private let other: Entry?
  /// The generations of the clients that are not their first.
  var generations: [String: Int] = [:]

  /// `listed` by the bytes of their names: equal strings need not be the same audience.
  package init(listed: [[UInt8]: Entry], other: Entry?) {
    self.listed = listed
    self.other = other
  }

  /// Lists further audiences. What is listed of one already holds.
  package mutating func list(_ audiences: some Sequence<String>, _ entry: Entry) {
    for audience in audiences where !lists(audience) { listed[Array(audience.utf8)] = entry }
  }

  /// Audiences that are not listed are served too.
  package var isOpen: Bool { other != nil }

  /// The audiences whose tokens are not checked, of one client.
  func unverified(of client: String) -> [[UInt8]] {
    listed.filter { $0.value.client == client && $0.value.verification == .opaque }.map(\.key)
  }

  /// Whether the audience's tokens are asked for by this client, and checked.
  func verifies(_ audience: [UInt8], by client: String) -> Bool {
    self[audience].map { $0.client == client && $0.verification == .jwt } ?? false
  }

  /// Whether the audience stands in the configuration by its name.
  package func lists(_ audience: String) -> Bool { listed[Array(audience.utf8)] != nil }

  /// nil if the audience is not served.
  package subscript(_ audience: [UInt8]) -> Entry? { listed[audience] ?? other }

  /// The key of the token for a grant; nil if its audience is not served.
  package func key(for grant: Grant) -> TokenKey? {
    guard let entry = self[Array(grant.audience.utf8)] else { return nil }
    let grant = Grant(
      audience: grant.audience, scope: grant.scope ?? entry.scope,
      organization: grant.organization ?? entry.organization)
    return TokenKey(client: UpstreamID(entry.client, generation: generations[entry.client] ?? 0), grant: grant)
  }

  /// Whether a request for the key's audience that names nothing else gets its token.
  package func isPlain(_ key: TokenKey) -> Bool { self.key(for: Grant(audience: key.grant.audience)) == key }

  package func verification(of key: TokenKey) -> Verification {
    self[Array(key.grant.audience.utf8)]?.verification ?? .jwt
  }

  /// The keys of the audiences that are prefetched.
  package var prefetchedKeys: [TokenKey] {
    listed.filter(\.value.isPrefetched).keys.compactMap {
      key(for: Grant(audience: String(decoding: $0, as: UTF8.self)))
    }
  }

  /// The audiences listed, as text; sorted.
  package var names: [String] { listed.keys.map { String(decoding: $0, as: UTF8.self) }.sorted() }
}
