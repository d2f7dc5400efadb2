import Basics
import OAuth

/// What one client may ask of its tenant now: a value that takes the time.
///
/// The tenant's limits and refusals, and its being out of reach, concern all of a client's keys, so they are remembered
/// here and not key by key. They close the gate; once their time is over one request goes out as a probe, and the rest
/// follow if it fares well.
package struct ClientGate {
  package struct Rules: Sendable {
    /// Requests in flight at once, while the tenant bears them.
    package var maxConcurrent = 256
    /// As many at first, or fewer if that is the most.
    package var firstConcurrent = 32
    /// On average; as many may go out at once after a quiet minute.
    package var mintsPerMinute = 3000
    /// The tenant's allotment of tokens in a calendar month (UTC), where one is known.
    package var monthlyMints: Int?
    /// The part of it that is kept for callers who would otherwise have no token.
    package var monthlyReserve = 0

    package init() {}
  }

  /// How a request was let out; `finished` is told, so that it is counted in again as what it was counted out.
  struct Admission {
    /// Its key has never yielded a token.
    let isUnproven: Bool
    /// It is to show whether the block is over.
    let isProbe: Bool
    /// Which of the client's credentials, one after the other, it may have been sent with.
    let credentials: Int
    let at: Instant
    /// Whose allowance is charged if the tenant refuses it; nil: nobody's.
    var payer: Payer?
  }

  private struct Block {
    let cause: ClientStatus.Cause
    var failure: Failure
    /// What was asked for last in vain, and when.
    let key: TokenKey
    let at: Instant
  }

  /// A limit is tested this often even where the tenant names a later time: one request costs nothing, and a day's
  /// silence because of one header costs a day.
  private static let longestBlock = Duration.seconds(3600)
  /// Faults of so many different keys in a row, without a success between them, are the tenant's.
  private static let faultsToBlock = 3
  /// Organizations whose limits are remembered.
  private static let maxOrganizations = 1000

  private var rules: Rules
  private var inFlight = 0
  private var unprovenInFlight = 0
  private var window: FlightWindow
  private var allowance: Double
  private var allowanceAt: Instant
  private var block: Block?
  /// What was admitted last is to show whether the block is over; nothing else is let through before it has.
  private var isProbing = false
  private var faults = 0
  /// Counts the credentials that the client has had.
  private var credentials = 0
  private var lastFault: TokenKey?
  private var organizations: [String: Failure] = [:]
  /// Until then little is left of a quota of the client's.
  private var scarceUntil: Instant
  /// Until then little is left of a quota of the organization's.
  private var scarceOrganizations: [String: Instant] = [:]
  /// This month's.
  var mints = MintCount()

  init(rules: Rules, now: Instant) {
    self.rules = rules
    allowance = Double(rules.mintsPerMinute)
    allowanceAt = now
    scarceUntil = now
    window = FlightWindow(rules: rules, now: now)
  }

  // MARK: Before a request

  /// Why no request can go out for `key`; nil when one may, perhaps after others.
  func refusal(for key: TokenKey, now: Instant) -> TokenError? {
    if let failure = block?.failure, now < failure.until { return failure.told(at: now) }
    if let organization = key.organization, let failure = organizations[organization], now < failure.until {
      return failure.told(at: now)
    }
    return nil
  }

  /// Whether a request may go out now. Unproven keys, which have never yielded a token, get half of what there is at
  /// the most: whoever makes up audiences does not slow those that are real.
  func isOpen(isUnproven: Bool, now: Instant) -> Bool {
    if let block, now < block.failure.until || isProbing { return false }
    let least = isUnproven ? 1 + Double(rules.mintsPerMinute) / 4 : 1
    return !isFull(isUnproven: isUnproven) && allowance(at: now) >= least
  }

  private func isFull(isUnproven: Bool) -> Bool {
    inFlight >= window.size || isUnproven && unprovenInFlight >= max(1, window.size / 2)
  }

  /// Counts a request in, if it may go out now.
  mutating func admit(isUnproven: Bool, now: Instant) -> Admission? {
    window.sent(now: now)
    guard isOpen(isUnproven: isUnproven, now: now) else { return nil }
    isProbing = block != nil
    inFlight += 1
    if isUnproven { unprovenInFlight += 1 }
    (allowance, allowanceAt) = (allowance(at: now) - 1, now)
    return Admission(isUnproven: isUnproven, isProbe: isProbing, credentials: credentials, at: now)
  }

  private func allowance(at now: Instant) -> Double {
    let perMinute = Double(rules.mintsPerMinute)
    return min(perMinute, allowance + Double(now.nanoseconds - allowanceAt.nanoseconds) / 60e9 * perMinute)
  }

  /// When a request that is not admitted now could be, if no answer arrives before.
  func nextChange(now: Instant) -> Instant? {
    if let block, now < block.failure.until { return block.failure.until }
    if isProbing || inFlight >= window.size { return nil }
    // The allowance grows by one in this time.
    return now.advanced(by: .seconds(60) / rules.mintsPerMinute + .milliseconds(1))
  }

  // MARK: After a request

  /// Counts a request out. True if its failure says nothing of the key, only of the client.
  mutating func finished(
    _ key: TokenKey, _ admission: Admission, _ result: Result<MintedToken, TokenError>, now: Instant,
    random: inout SeededGenerator
  ) -> Bool {
    let wasFull = isFull(isUnproven: admission.isUnproven)
    inFlight -= 1
    if admission.isUnproven { unprovenInFlight -= 1 }
    // Answers to requests from before the block say nothing of the probe.
    if admission.isProbe { isProbing = false }
    switch result {
    case _ where result.isFromStore:
      // The tenant was not asked, so nothing is known of it and nothing was used up.
      allowance += 1
      return false
    case .success(let minted):
      window.succeeded(took: admission.at.duration(to: now), wasFull: wasFull, now: now)
      mints.add()
      (faults, lastFault) = (0, nil)
      reopen(isProbe: admission.isProbe)
      apply(minted.quota, key, now: now)
      return false
    case .failure(let error):
      if isOutdated(error, key, admission) { return true }
      return apply(error, key, isProbe: admission.isProbe, now: now, random: &random)
    }
  }

  /// Whether it refuses credentials that the client no longer has: it says nothing of those that it has now.
  func isOutdated(_ error: TokenError, _ key: TokenKey, _ admission: Admission) -> Bool {
    error.cause == .brokerMisconfigured && key.holder == nil && admission.credentials != credentials
  }

  /// Applies what this broker, or another one, was refused with. True if it says nothing of the key, only of the
  /// client.
  mutating func apply(
    _ error: TokenError, _ key: TokenKey, isProbe: Bool = false, now: Instant, random: inout SeededGenerator
  ) -> Bool {
    window.failed(error.cause, now: now)
    switch error.cause {
    case .upstreamRateLimited:
      if error.isOfOrganization, let organization = key.organization {
        limit(organization, error, now: now, random: &random)
        return false
      }
      close(.limit, error, key, now: now, random: &random)
    // A holder's credentials say nothing of others'.
    case .brokerMisconfigured where key.holder == nil: close(.refusal, error, key, now: now, random: &random)
    case .upstreamGlitch, .upstreamUnavailable, .upstreamTimeout:
      if key != lastFault { faults += 1 }
      lastFault = key
      // A probe that fails has answered for all.
      if faults >= Self.faultsToBlock || block != nil { close(.fault, error, key, now: now, random: &random) }
      // The key's own back-off goes on beside the client's: it may be the key, after all.
      return false
    case .unknownAudience, .audienceNotGranted, .unknownOrganization, .invalidCaller, .brokerMisconfigured,
      .invalidUpstreamResponse, .tokenValidationFailed, .overloaded, .allowanceUsedUp:
      // The tenant has answered, and of this key alone.
      (faults, lastFault) = (0, nil)
      reopen(isProbe: isProbe)
      return false
    }
    return true
  }

  /// The tenant has answered. To any other request than the probe, that says only that it can be reached.
  private mutating func reopen(isProbe: Bool) { if isProbe || block?.cause == .fault { block = nil } }

  private mutating func close(
    _ cause: ClientStatus.Cause, _ error: TokenError, _ key: TokenKey, now: Instant, random: inout SeededGenerator
  ) {
    let previous = block?.cause == cause ? block?.failure : nil
    // Requests sent before the first answer fail with it: they are one failure, not many.
    if let previous, now < previous.until, (error.retryAfter ?? .zero) <= now.duration(to: previous.until) { return }
    var error = error
    error.retryAfter = error.retryAfter.map { min($0, Self.longestBlock) }
    if cause == .limit { error.retryAfter = max(error.retryAfter ?? .zero, .seconds(1)) }
    let failure = Failure(error, after: previous, now: now, random: &random)
    // Late answers of other kinds may come too: none opens the gate before its time.
    if let block, failure.until < block.failure.until { return }
    block = Block(cause: cause, failure: failure, key: key, at: now)
  }

  private mutating func limit(
    _ organization: String, _ error: TokenError, now: Instant, random: inout SeededGenerator
  ) {
    if organizations.count >= Self.maxOrganizations { organizations = organizations.filter { now < $0.value.until } }
    guard organizations.count < Self.maxOrganizations else { return }
    organizations[organization] = Failure(error, after: organizations[organization], now: now, random: &random)
  }

  /// Applies what a good answer says of the allotments. One that is used up may only be watched by the tenant, which
  /// then goes on giving tokens: only a refusal is a limit.
  private mutating func apply(_ quota: [QuotaBucket], _ key: TokenKey, now: Instant) {
    for bucket in quota where bucket.remaining <= max(1, bucket.quota / 10) {
      let until = now.advanced(by: min(bucket.resetsIn, Self.longestBlock))
      if !bucket.isOfOrganization {
        scarceUntil = max(scarceUntil, until)
      } else if let organization = key.organization {
        if scarceOrganizations.count >= Self.maxOrganizations {
          scarceOrganizations = scarceOrganizations.filter { now < $0.value }
        }
        if scarceOrganizations.count >= Self.maxOrganizations { continue }
        scarceOrganizations[organization] = max(scarceOrganizations[organization] ?? until, until)
      }
    }
  }

  /// Until then little is left of a quota that the key needs, so what can wait does.
  func scarceUntil(for key: TokenKey) -> Instant {
    guard let organization = key.organization, let until = scarceOrganizations[organization] else { return scarceUntil }
    return max(scarceUntil, until)
  }

  /// Whether nothing goes out now, and all who wait are to be told so.
  func isShut(now: Instant) -> Bool { block.map { now < $0.failure.until } ?? false }

  // MARK: From outside

  mutating func configure(_ rules: Rules) {
    self.rules = rules
    window.configure(rules)
    allowance = min(allowance, Double(rules.mintsPerMinute))
  }

  /// The credentials are others now, so what the tenant said of the old ones counts no more.
  mutating func credentialsChanged() {
    credentials += 1
    if block?.cause == .refusal { block = nil }
  }

  /// The next request goes out at once, to show whether what has closed the gate is over. How long a limit lasts is the
  /// tenant's to say.
  mutating func retry(now: Instant) {
    guard let closed = block, closed.cause != .limit, closed.at.duration(to: now) >= Self.retryInterval else { return }
    block?.failure.end(at: now)
  }

  /// A failure that is younger is believed: nobody mends anything in so short a time.
  static let retryInterval = Duration.seconds(1)

  /// What was asked for last has shown nothing good of the tenant.
  var isClosed: Bool { block != nil }

  /// Whether so much of the month's allotment is used that only callers without a token get one.
  var isAtReserve: Bool { rules.monthlyMints.map { mints.total >= $0 - rules.monthlyReserve } ?? false }

  // MARK: For people

  /// nil where the tenant has no allotment that is known.
  var budget: ClientStatus.Budget? {
    rules.monthlyMints.map { limit in
      .init(
        month: mints.month, limit: limit, reserve: rules.monthlyReserve, used: mints.total,
        isOfFleet: mints.isOfFleet)
    }
  }

  func status(queued: Int, now: Instant) -> ClientStatus {
    ClientStatus(
      block: block.map { .init(cause: $0.cause, error: $0.failure.error, until: $0.failure.until, key: $0.key) },
      limitedOrganizations: organizations.values.count { now < $0.until }, inFlight: inFlight, queued: queued,
      scarceUntil: now < scarceUntil ? scarceUntil : nil,
      budget: budget)
  }
}
