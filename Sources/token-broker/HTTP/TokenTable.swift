import OAuth
import TokenBroker

/// The tokens one event loop can hand out at once.
///
/// Those asked for by audience alone are found with the bytes of a request, without making a key of them. Two audiences
/// with the same hash share a place and drive each other out, which costs them a slower answer and nothing else.
struct TokenTable {
  enum Change: Sendable {
    case insert(RenderedToken)
    case remove(TokenKey)
  }

  private let audiences: AudienceCatalog
  private var plain: [Int: RenderedToken] = [:]
  private var others: [TokenKey: RenderedToken] = [:]

  init(_ audiences: AudienceCatalog) {
    self.audiences = audiences
  }

  /// The token for a request that names `audience` and nothing else. The bytes need not be a valid audience.
  func find(_ audience: [UInt8]) -> RenderedToken? {
    guard let token = plain[Self.hash(audience)], token.isFor(audience) else { return nil }
    return token
  }

  func find(_ key: TokenKey) -> RenderedToken? {
    audiences.isPlain(key) ? find(Array(key.grant.audience.utf8)) : others[key]
  }

  mutating func apply(_ change: Change) {
    switch change {
    case .insert(let token): insert(token)
    case .remove(let key): remove(key)
    }
  }

  private mutating func insert(_ token: RenderedToken) {
    let key = token.token.key
    if audiences.isPlain(key) {
      plain[Self.hash(token.audience)] = token
    } else {
      others[key] = token
    }
  }

  private mutating func remove(_ key: TokenKey) {
    guard audiences.isPlain(key) else { return others[key] = nil }
    let audience = Array(key.grant.audience.utf8)
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
  init(_ publication: Broker.Publication, _ clients: ClientNumbers) {
    switch publication {
    case .current(let token):
      self = .insert(RenderedToken(token, clientNumber: clients.number(of: token.key.client.name)))
    case .withdrawn(let key): self = .remove(key)
    }
  }
}
