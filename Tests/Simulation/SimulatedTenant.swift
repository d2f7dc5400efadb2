import Basics
import OAuth
import BrokerCore

/// What the authorization server does, and the truth about every token it made.
struct SimulatedTenant {
  /// A token as the tenant knows it.
  struct Token {
    let name: String
    let kid: String
    /// The last moment at which APIs accept it.
    var expiresAt: Instant
    let expiresIn: Int
  }

  enum Answer {
    case token(Token, [QuotaBucket])
    case refused(TokenError)
  }

  private(set) var publishedKeys: Set<String> = ["key-0"]
  private var signingKey = "key-0"
  private var keyCount = 0
  private(set) var tokenCount = 0
  private var faults: [(fault: Scenario.Fault, from: Instant, until: Instant)] = []
  private var recent: [Instant] = []
  private var hour: [Instant] = []
  private let quota: Scenario.Quota?
  /// When it last refused a request because of a limit.
  private(set) var limitedAt: Instant?

  init(quota: Scenario.Quota?) {
    self.quota = quota
  }

  mutating func begin(_ fault: Scenario.Fault, from: Instant, until: Instant) { faults.append((fault, from, until)) }

  /// Whether the key set could not be read at any time in between.
  func hidKeySet(between start: Instant, and end: Instant) -> Bool {
    faults.contains { fault, from, until in
      guard from <= end, until >= start else { return false }
      switch fault {
      case .outage, .noKeySet, .limitsKeySet: return true
      default: return false
      }
    }
  }

  mutating func rotateKey(revoking: Bool) {
    keyCount += 1
    if revoking { publishedKeys = [] }
    signingKey = "key-\(keyCount)"
    publishedKeys.insert(signingKey)
  }

  private func has(_ now: Instant, _ matches: (Scenario.Fault) -> Bool) -> Bool {
    faults.contains { now < $0.until && matches($0.fault) }
  }

  func isDown(_ now: Instant) -> Bool { has(now) { if case .outage = $0 { true } else { false } } }
  func isSlow(_ now: Instant) -> Bool { has(now) { if case .slow = $0 { true } else { false } } }
  func hidesKeySet(_ now: Instant) -> Bool {
    isDown(now) || limitsKeySet(now) || has(now) { if case .noKeySet = $0 { true } else { false } }
  }
  /// It answers a request for the key set with a wait.
  func limitsKeySet(_ now: Instant) -> Bool { has(now) { if case .limitsKeySet = $0 { true } else { false } } }

  /// Whether tokens were signed with keys that nobody publishes at any time in between.
  func usedForeignKeys(between start: Instant, and end: Instant) -> Bool {
    faults.contains { fault, from, until in
      if case .foreignKeys = fault { from <= end && until >= start } else { false }
    }
  }
  func refusesCredentials(_ now: Instant) -> Bool {
    has(now) { if case .refusesCredentials = $0 { true } else { false } }
  }

  /// `number` is nil for an audience that it does not know.
  mutating func answer(
    _ number: Int?, _ organization: String?, lifetime: Double, now: Instant, random: inout SeededGenerator
  ) -> Answer {
    if isDown(now) || has(now, { if case .flaky = $0 { true } else { false } }) && Bool.random(using: &random) {
      return .refused(TokenError(cause: .upstreamUnavailable, message: "down"))
    }
    if has(now, { if case .glitches = $0 { true } else { false } }), Bool.random(using: &random) {
      return .refused(TokenError(cause: .upstreamGlitch, message: "<html>"))
    }
    if refusesCredentials(now) { return .refused(TokenError(cause: .brokerMisconfigured, message: "401")) }
    if let error = limit(organization, now) {
      limitedAt = now
      return .refused(error)
    }
    guard let number else { return .refused(TokenError(cause: .unknownAudience, message: "unknown")) }
    if has(now, { if case .denies(let denied) = $0 { denied == number } else { false } }) {
      return .refused(TokenError(cause: .audienceNotGranted, message: "no grant"))
    }
    tokenCount += 1
    let isForeign = has(now) { if case .foreignKeys = $0 { true } else { false } }
    let kid = isForeign ? "foreign-\(tokenCount)" : signingKey
    // Some servers round up what they say.
    let stated = Int(lifetime) + (tokenCount % 7 == 0 ? 30 : 0)
    let token = Token(
      name: "token-\(tokenCount)", kid: kid, expiresAt: now.advanced(by: .seconds(lifetime)), expiresIn: stated)
    return .token(token, buckets(organization, now))
  }

  /// nil: within the limits.
  private mutating func limit(_ organization: String?, _ now: Instant) -> TokenError? {
    func limited(_ wait: Duration?) -> TokenError {
      TokenError(cause: .upstreamRateLimited, message: "429", retryAfter: wait)
    }
    for (fault, _, until) in faults where now < until {
      guard case .limit(let perMinute, let isAnnounced) = fault else { continue }
      recent = recent.filter { $0.duration(to: now) < .seconds(60) }
      if recent.count >= perMinute {
        return limited(isAnnounced ? .seconds(60) : nil)
      }
      recent.append(now)
    }
    if let quota, !quota.isOfOrganization || organization != nil {
      hour = hour.filter { $0.duration(to: now) < .seconds(3600) }
      if quota.isEnforced, hour.count >= quota.perHour {
        var error = limited(now.duration(to: hour[0].advanced(by: .seconds(3600))))
        error.isOfOrganization = quota.isOfOrganization
        return error
      }
      hour.append(now)
    }
    return nil
  }

  private func buckets(_ organization: String?, _ now: Instant) -> [QuotaBucket] {
    guard let quota, !quota.isOfOrganization || organization != nil, let first = hour.first else { return [] }
    let left = now.duration(to: first.advanced(by: .seconds(3600)))
    return [
      QuotaBucket(
        name: "per_hour", quota: quota.perHour, remaining: max(0, quota.perHour - hour.count), resetsIn: left,
        isOfOrganization: quota.isOfOrganization)
    ]
  }
}
