import Basics
import OAuth
import BrokerCore

/// The tokens one event loop can hand out at once.
///
/// Those asked for by audience alone are found with the bytes of a request, without making a key of them. Two audiences
/// with the same hash share a place and drive each other out, which costs them a slower answer and nothing else. Not to
/// be copied, because each look-up would do so, and count references for it.
struct TokenTable: ~Copyable {
  /// A token found, and where, so that its being used can be counted without finding it again.
  struct Hit {
    fileprivate enum Place {
      case plain(Dictionary<Int, Slot>.Index)
      case other(Dictionary<TokenKey, Slot>.Index)
    }

    let counted: CountedToken
    fileprivate let place: Place

    var token: CachedToken { counted.token }
  }

  fileprivate struct Slot {
    var token: CountedToken
    /// Since its key is held. In the loop's own memory, beside what is read anyway.
    var hits = 0
  }

  private let audiences: AudienceCatalog
  private var plain: [Int: Slot] = [:]
  private var others: [TokenKey: Slot] = [:]

  init(_ audiences: AudienceCatalog) { self.audiences = audiences }

  /// The token for a request that names `audience` and nothing else. The bytes need not be a valid audience.
  func find(_ audience: [UInt8]) -> Hit? {
    guard let place = plain.index(forKey: Self.hash(audience)) else { return nil }
    let token = plain.values[place].token
    return Self.isAudience(of: token, audience) ? Hit(counted: token, place: .plain(place)) : nil
  }

  func find(_ key: TokenKey) -> Hit? {
    if audiences.isPlain(key) { return find(Array(key.grant.audience.utf8)) }
    return others.index(forKey: key).map { Hit(counted: others.values[$0].token, place: .other($0)) }
  }

  /// Counts a hit, of which the table has not changed since.
  mutating func count(_ hit: Hit) {
    switch hit.place {
    case .plain(let place): plain.values[place].hits += 1
    case .other(let place): others.values[place].hits += 1
    }
  }

  /// How often this loop has handed out the tokens of these keys.
  func hits(of keys: [TokenKey]) -> [Int] {
    keys.map { key in
      switch find(key)?.place {
      case .plain(let place): plain.values[place].hits
      case .other(let place): others.values[place].hits
      case nil: 0
      }
    }
  }

  mutating func insert(_ token: CountedToken) {
    let key = token.token.key
    // One that replaces its like goes on counting.
    guard audiences.isPlain(key) else { return others[key, default: Slot(token: token)].token = token }
    let audience = Array(key.audience.utf8)
    let hash = Self.hash(audience)
    if let present = plain[hash]?.token, Self.isAudience(of: present, audience) {
      plain[hash]?.token = token
    } else {
      plain[hash] = Slot(token: token)
    }
  }

  mutating func remove(_ key: TokenKey) {
    guard audiences.isPlain(key) else { return others[key] = nil }
    let audience = Array(key.grant.audience.utf8)
    let hash = Self.hash(audience)
    if let present = plain[hash]?.token, Self.isAudience(of: present, audience) { plain[hash] = nil }
  }

  private static func isAudience(of token: CountedToken, _ audience: [UInt8]) -> Bool {
    let text = token.token.key.audience
    return text.utf8.span.hasSameBytes(as: audience.span)
  }

  /// Seeded anew in each process, so nobody can aim at a place.
  private static func hash(_ audience: [UInt8]) -> Int {
    var hasher = Hasher()
    unsafe audience.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    return hasher.finalize()
  }
}
