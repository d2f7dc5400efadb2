import OAuth
import TokenBroker

/// The tokens one event loop can hand out at once.
///
/// Those asked for by audience alone are found with the bytes of a request, without making a key of them. Two audiences
/// with the same hash share a place and drive each other out, which costs them a slower answer and nothing else.
struct TokenTable {
  private var plain: [Int: Entry] = [:]
  private var others: [Grant: RenderedToken] = [:]

  private struct Entry {
    let audience: [UInt8]
    let token: RenderedToken
  }

  /// The token for `audience`, with neither scope nor organization. The bytes need not be a valid audience.
  func find(_ audience: [UInt8]) -> RenderedToken? {
    guard let entry = plain[Self.hash(audience)], entry.audience == audience else { return nil }
    return entry.token
  }

  func find(_ grant: Grant) -> RenderedToken? {
    grant.isPlain ? find(Array(grant.audience.utf8)) : others[grant]
  }

  mutating func insert(_ token: CachedToken) {
    let grant = token.key.grant
    guard grant.isPlain else { return others[grant] = RenderedToken(token) }
    let audience = Array(grant.audience.utf8)
    plain[Self.hash(audience)] = Entry(audience: audience, token: RenderedToken(token))
  }

  mutating func remove(_ grant: Grant) {
    guard grant.isPlain else { return others[grant] = nil }
    let audience = Array(grant.audience.utf8)
    let hash = Self.hash(audience)
    if plain[hash]?.audience == audience { plain[hash] = nil }
  }

  /// Seeded anew in each process, so nobody can aim at a place.
  private static func hash(_ audience: [UInt8]) -> Int {
    var hasher = Hasher()
    unsafe audience.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    return hasher.finalize()
  }
}

extension Grant {
  /// For all that is granted, and no organization.
  fileprivate var isPlain: Bool { scope == nil && organization == nil }
}
