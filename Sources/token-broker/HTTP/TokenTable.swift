import OAuth
import TokenBroker

/// The tokens one event loop can hand out at once, by what is asked for.
///
/// Looked up with the bytes of a request, without making a key of them. Two keys with the same hash share a place and
/// drive each other out, which costs them a slower answer and nothing else.
struct TokenTable {
  private var entries: [Int: Entry] = [:]

  private struct Entry {
    let name: [UInt8]
    let token: RenderedToken
  }

  /// The bytes that name a grant: its audience alone, where it has neither scope nor organization.
  /// Control characters are in none of the three, so they can separate them.
  static func name(of grant: Grant) -> [UInt8] {
    var name = Array(grant.audience.utf8)
    if let scope = grant.scope { name += [1] + Array(scope.utf8) }
    if let organization = grant.organization { name += [2] + Array(organization.utf8) }
    return name
  }

  func find(_ name: [UInt8]) -> RenderedToken? {
    guard let entry = entries[Self.hash(name)], entry.name == name else { return nil }
    return entry.token
  }

  mutating func insert(_ token: CachedToken) {
    let name = Self.name(of: token.key.grant)
    entries[Self.hash(name)] = Entry(name: name, token: RenderedToken(token))
  }

  mutating func remove(_ grant: Grant) {
    let name = Self.name(of: grant)
    let hash = Self.hash(name)
    if entries[hash]?.name == name { entries[hash] = nil }
  }

  /// Seeded anew in each process, so nobody can aim at a place.
  private static func hash(_ name: [UInt8]) -> Int {
    var hasher = Hasher()
    unsafe name.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    return hasher.finalize()
  }
}
