import Basics
import OAuth
import BrokerCore

/// What the brokers of a fleet share, with all that may be wrong with it. Seals are taken for granted: what it has is
/// what some broker has left there.
struct SimulatedStore {
  struct Kept {
    let token: StoredToken
    let keyID: String?
    let until: Instant
  }

  struct Limit {
    let error: TokenError
    let until: Instant
    /// What was minted all the same, and waits to be checked.
    var held: Kept?
  }

  private struct Claim {
    let fence: UInt64
    var until: Instant
  }

  /// What a server has, or its replica.
  private struct Content {
    var tokens: [TokenKey: Kept] = [:]
    var former: [TokenKey: Kept] = [:]
    var failures: [TokenKey: Limit] = [:]
    var limit: Limit?
    var claims: [TokenKey: Claim] = [:]
    var mints = 0

    mutating func lose(_ part: Int) {
      func isLost(_ key: TokenKey) -> Bool { SimulatedStore.part(of: key) == part }
      tokens = tokens.filter { !isLost($0.key) }
      failures = failures.filter { !isLost($0.key) }
      claims = claims.filter { !isLost($0.key) }
      if part == SimulatedStore.limitPart { limit = nil }
      if part == SimulatedStore.mintsPart { mints = 0 }
    }
  }

  let kind: Scenario.StoreKind
  private var content = Content()
  /// What the server's replica has, where that is no longer the same.
  private var replica: Content?
  private var lastFence: UInt64 = 0
  private var names: [TokenKey: StoreName] = [:]
  private var troubles: [(trouble: Scenario.StoreTrouble, until: Instant)] = []

  init(_ kind: Scenario.StoreKind) { self.kind = kind }

  /// The part that has the keys of one token.
  static func part(of key: TokenKey) -> Int { key.audience.utf8.reduce(0) { $0 + Int($1) } % Scenario.StoreKind.parts }
  private static let limitPart = 0
  private static let mintsPart = 1

  mutating func begin(_ trouble: Scenario.StoreTrouble, until: Instant) {
    troubles.append((trouble, until))
    switch trouble {
    case .loses: content = Content()
    case .losesPart(let part): content.lose(part)
    case .fallsBehind: replica = content
    case .failsOver:
      content = replica ?? content
      replica = nil
    case .isDown, .isSlow, .isReadOnly, .lacksPart, .grantsTwice, .forgets, .repeatsItself, .isDeaf: break
    }
  }

  private func has(_ trouble: Scenario.StoreTrouble, _ now: Instant) -> Bool {
    troubles.contains { now < $0.until && $0.trouble == trouble }
  }

  private func isDown(_ part: Int, _ now: Instant) -> Bool { has(.isDown, now) || has(.lacksPart(part), now) }
  /// What is about this key is out of reach.
  func isDown(_ key: TokenKey, _ now: Instant) -> Bool { isDown(Self.part(of: key), now) }
  func isSlow(_ now: Instant) -> Bool { has(.isSlow, now) }
  /// Nobody is told of changes.
  func isDeaf(_ now: Instant) -> Bool { has(.isDeaf, now) }
  /// What is saved is gone at once.
  func forgets(_ now: Instant) -> Bool { has(.forgets, now) }

  mutating func name(of key: TokenKey) -> StoreName {
    if let name = names[key] { return name }
    let number = names.count + 1
    let name = StoreName((0..<32).map { $0 < 8 ? UInt8(truncatingIfNeeded: number >> (8 * $0)) : 0 })
    names[key] = name
    return name
  }

  func token(_ key: TokenKey, _ now: Instant) -> Kept? {
    let present = content.tokens[key]
    let kept = has(.repeatsItself, now) ? content.former[key] ?? present : present
    return kept.flatMap { now < $0.until ? $0 : nil }
  }

  /// A token that waits to be checked, unless it has been by now.
  func held(_ key: TokenKey, _ now: Instant) -> Kept? {
    guard let held = content.failures[key]?.held, now < held.until else { return nil }
    if let checked = token(key, now), checked.token.mintedAt >= held.token.mintedAt { return nil }
    return held
  }

  func failure(_ key: TokenKey, _ now: Instant) -> TokenError? { told(content.failures[key], now) }

  /// What concerns all keys.
  func limit(_ now: Instant) -> TokenError? { isDown(Self.limitPart, now) ? nil : told(content.limit, now) }

  private func told(_ found: Limit?, _ now: Instant) -> TokenError? {
    guard let found, now < found.until else { return nil }
    var error = found.error
    error.retryAfter = now.duration(to: found.until)
    return error
  }

  /// nil: it cannot be used.
  mutating func claim(_ key: TokenKey, _ now: Instant) -> StoreAnswer.Outcome? {
    if isDown(key, now) || has(.isReadOnly, now) { return nil }
    if let claim = holder(key, now), !has(.grantsTwice, now) { return .taken(now.duration(to: claim.until)) }
    lastFence += 1
    content.claims[key] = Claim(fence: lastFence, until: now.advanced(by: SharedFetch.lease))
    return .granted(StoreClaim(name: name(of: key), fence: lastFence))
  }

  private func holder(_ key: TokenKey, _ now: Instant) -> Claim? {
    content.claims[key].flatMap { now < $0.until ? $0 : nil }
  }

  mutating func renew(_ claim: StoreClaim, _ key: TokenKey, _ now: Instant) {
    if !isDown(key, now), !has(.isReadOnly, now), holder(key, now)?.fence == claim.fence {
      content.claims[key]?.until = now.advanced(by: SharedFetch.lease)
    }
  }

  /// False if nothing came of it.
  mutating func save(
    _ key: TokenKey, _ kept: Kept?, _ failure: SharedFailure?, held: Kept?, _ claim: StoreClaim?, _ now: Instant
  ) -> Bool {
    if isDown(key, now) || has(.isReadOnly, now) { return false }
    var isHeld = true
    if let claim {
      let holder = holder(key, now)
      if let holder, holder.fence != claim.fence { return false }
      isHeld = holder != nil
      content.claims[key] = nil
    }
    if forgets(now) { return true }
    if let kept, isHeld || token(key, now) == nil {
      (content.former[key], content.tokens[key]) = (content.tokens[key], kept)
    }
    if let failure {
      let found = Limit(error: failure.error, until: now.advanced(by: failure.lifetime), held: held)
      if failure.reach != .client {
        content.failures[key] = found
      } else if !isDown(Self.limitPart, now) {
        content.limit = found
      }
    }
    return true
  }

  /// What all have minted; nil where it cannot be counted.
  mutating func count(_ report: MintCount.Report, _ now: Instant) -> Int? {
    if isDown(Self.mintsPart, now) || has(.isReadOnly, now) { return nil }
    content.mints = max(content.mints, report.atLeast) + report.adding
    return content.mints
  }

  var mints: Int { content.mints }

  /// Whether a limit that is left there now is told to others.
  func keepsLimits(_ now: Instant) -> Bool { !forgets(now) && !isDown(Self.limitPart, now) }
}

/// What a fleet as a whole has asked of the tenant, to be held against what it need have asked.
struct FleetRecord {
  /// Keys that the tenant is being asked for, by whichever broker.
  private(set) var inFlight: [TokenKey: Int] = [:]
  /// The newest token of each key that any broker holds or has left to others.
  private(set) var newest: [TokenKey: CachedToken] = [:]
  /// When that was left to others.
  private(set) var leftAt: [TokenKey: Instant] = [:]
  /// No limit was told to any broker, and left to the others, that lasts longer.
  var limitedUntil: Instant?
  /// Until then brokers may know less of each other than they should.
  var storeWasTroubledAt = Instant(nanoseconds: 0)
  /// Whoever dies takes claims along for a while, and what it has not left to others yet.
  var brokerDiedAt = Instant(nanoseconds: 0)
  /// Mints in vain: another token was good, or being asked for, but for those that were demanded.
  var vain: [TokenKey: Int] = [:]
  /// What the store's troubles have lasted so far, and how often a broker began anew.
  var storeTroubles: [Duration] = []
  var restarts = 0
  /// How many tokens were minted, and how many of them the store has not counted since its last trouble.
  var mints = 0
  var uncounted: (since: Instant, count: Int)?
  /// Nobody's clock was set.
  var hasTrueClocks = true

  mutating func asks(_ key: TokenKey) { inFlight[key, default: 0] += 1 }
  mutating func answered(_ key: TokenKey) { inFlight[key] = max(0, (inFlight[key] ?? 0) - 1) }
  mutating func minted(_ token: CachedToken) {
    // Brokers that cannot tell each other ask at the same time, and may be answered in another order.
    if let other = newest[token.key], other.minted.mintedAt > token.minted.mintedAt { return }
    newest[token.key] = token
    leftAt[token.key] = token.minted.mintedAt
  }

  /// The store was given the token back.
  mutating func restored(_ token: CachedToken, _ now: Instant) {
    if newest[token.key]?.minted.accessToken == token.minted.accessToken { leftAt[token.key] = now }
  }
}
