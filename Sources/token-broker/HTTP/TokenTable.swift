import OAuth
import TokenBroker

/// The tokens one event loop can hand out at once.
///
/// Those asked for by audience alone are found with the bytes of a request, without making a key of them. Two audiences
/// with the same hash share a place and drive each other out, which costs them a slower answer and nothing else.
struct TokenTable {
  enum Change: Sendable {
    case insert(RenderedToken)
    case remove(Grant)
  }

  private var plain: [Int: RenderedToken] = [:]
  private var others: [Grant: RenderedToken] = [:]

  /// The token for `audience`, with neither scope nor organization. The bytes need not be a valid audience.
  func find(_ audience: [UInt8]) -> RenderedToken? {
    guard let token = plain[Self.hash(audience)], token.isFor(audience) else { return nil }
    return token
  }

  func find(_ grant: Grant) -> RenderedToken? {
    grant.isPlain ? find(Array(grant.audience.utf8)) : others[grant]
  }

  mutating func apply(_ change: Change) {
    switch change {
    case .insert(let token): insert(token)
    case .remove(let grant): remove(grant)
    }
  }

  private mutating func insert(_ token: RenderedToken) {
    let grant = token.token.key.grant
    if grant.isPlain {
      plain[Self.hash(token.audience)] = token
    } else {
      others[grant] = token
    }
  }

  private mutating func remove(_ grant: Grant) {
    guard grant.isPlain else { return others[grant] = nil }
    let audience = Array(grant.audience.utf8)
    let hash = Self.hash(audience)
    if plain[hash]?.isFor(audience) == true { plain[hash] = nil }
  }

  /// Seeded anew in each process, so nobody can aim at a place.
  private static func hash(_ audience: [UInt8]) -> Int {
    var hasher = Hasher()
    unsafe audience.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    return hasher.finalize()
  }
}

extension TokenTable.Change {
  init(_ publication: Broker.Publication) {
    switch publication {
    case .current(let token): self = .insert(RenderedToken(token))
    case .withdrawn(let key): self = .remove(key.grant)
    }
  }
}

extension Grant {
  /// For all that is granted, and no organization.
  fileprivate var isPlain: Bool { scope == nil && organization == nil }
}
