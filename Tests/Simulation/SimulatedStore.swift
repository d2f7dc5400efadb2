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

  private var tokens: [TokenKey: Kept] = [:]
  private var former: [TokenKey: Kept] = [:]
  private var failures: [TokenKey: Limit] = [:]
  private var limit: Limit?
  private var claims: [TokenKey: Claim] = [:]
  private var lastFence: UInt64 = 0
  private var names: [TokenKey: StoreName] = [:]
  private var troubles: [(trouble: Scenario.StoreTrouble, until: Instant)] = []

  mutating func begin(_ trouble: Scenario.StoreTrouble, until: Instant) {
    troubles.append((trouble, until))
    if trouble == .loses { (tokens, failures, claims, limit) = ([:], [:], [:], nil) }
  }

  private func has(_ trouble: Scenario.StoreTrouble, _ now: Instant) -> Bool {
    troubles.contains { now < $0.until && $0.trouble == trouble }
  }

  func isDown(_ now: Instant) -> Bool { has(.isDown, now) }
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
    let kept = has(.repeatsItself, now) ? former[key] ?? tokens[key] : tokens[key]
    return kept.flatMap { now < $0.until ? $0 : nil }
  }

  /// A token that waits to be checked, unless it has been by now.
  func held(_ key: TokenKey, _ now: Instant) -> Kept? {
    guard let held = failures[key]?.held, now < held.until else { return nil }
    if let checked = token(key, now), checked.token.mintedAt >= held.token.mintedAt { return nil }
    return held
  }

  func failure(_ key: TokenKey, _ now: Instant) -> TokenError? { told(failures[key], now) }

  /// What concerns all keys.
  func limit(_ now: Instant) -> TokenError? { told(limit, now) }

  private func told(_ found: Limit?, _ now: Instant) -> TokenError? {
    guard let found, now < found.until else { return nil }
    var error = found.error
    error.retryAfter = now.duration(to: found.until)
    return error
  }

  /// nil: it cannot be used.
  mutating func claim(_ key: TokenKey, _ now: Instant) -> StoreAnswer.Outcome? {
    if isDown(now) { return nil }
    if let claim = claims[key], now < claim.until { return .taken(now.duration(to: claim.until)) }
    lastFence += 1
    claims[key] = Claim(fence: lastFence, until: now.advanced(by: SharedFetch.lease))
    return .granted(StoreClaim(name: name(of: key), fence: lastFence))
  }

  mutating func renew(_ claim: StoreClaim, _ key: TokenKey, _ now: Instant) {
    if !isDown(now), claims[key]?.fence == claim.fence, let held = claims[key], now < held.until {
      claims[key]?.until = now.advanced(by: SharedFetch.lease)
    }
  }

  /// False if nothing came of it.
  mutating func save(
    _ key: TokenKey, _ kept: Kept?, _ failure: SharedFailure?, held: Kept?, _ claim: StoreClaim?, _ now: Instant
  ) -> Bool {
    if isDown(now) { return false }
    if let claim {
      guard claims[key]?.fence == claim.fence else { return false }
      claims[key] = nil
    }
    if forgets(now) { return true }
    if let kept { (former[key], tokens[key]) = (tokens[key], kept) }
    if let failure {
      let found = Limit(error: failure.error, until: now.advanced(by: failure.lifetime), held: held)
      if failure.reach == .client { limit = found } else { failures[key] = found }
    }
    return true
  }
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
