import Basics
import OAuth

/// How much each payer may still make each client's tenant refuse: a value that takes the time.
///
/// A tenant counts refusals like any request, so whoever makes up audiences would spend its rate limit for everybody.
/// They are charged when they come, not when they are asked for: good audiences that are new cost nothing.
struct RefusalAllowances {
  private struct Account: Hashable {
    let payer: Payer
    let client: UpstreamID
  }

  /// Accounts that are told apart.
  private static let maxAccounts = 1000

  private let unused: RateLimiter
  private var accounts: [Account: RateLimiter] = [:]
  /// For those there is no room for, as if they were one.
  private var others: RateLimiter

  init(_ rules: TokenCache.Rules) {
    unused = RateLimiter(burst: rules.refusalBurst, perMinute: rules.refusalsPerMinute)
    others = unused
  }

  /// How long to wait until the payer may cause a refusal again; nil: it may now.
  func wait(_ payer: Payer, _ client: UpstreamID, now: Instant) -> Duration? {
    let account = accounts[Account(payer: payer, client: client)]
    return (account ?? (accounts.count < Self.maxAccounts ? unused : others)).wait(now: now)
  }

  /// Charges a refusal, of a request that was sent when the payer might cause one.
  mutating func charge(_ payer: Payer, _ client: UpstreamID, now: Instant) {
    let account = Account(payer: payer, client: client)
    if accounts[account] == nil, accounts.count >= Self.maxAccounts {
      accounts = accounts.filter { !$0.value.isIdle(now: now) }
    }
    if accounts[account] == nil, accounts.count >= Self.maxAccounts { return others.charge(now: now) }
    accounts[account, default: unused].charge(now: now)
  }
}

extension TokenError {
  /// Whether the tenant has refused what was asked for, or the credentials that were brought along for it.
  func isCharged(to key: TokenKey) -> Bool {
    switch cause {
    case .unknownAudience, .audienceNotGranted, .unknownOrganization, .invalidCaller, .invalidUpstreamResponse: true
    // The broker's own credentials are nobody's fault who asks.
    case .brokerMisconfigured: key.holder != nil
    case .tokenValidationFailed, .upstreamGlitch, .upstreamRateLimited, .upstreamUnavailable, .upstreamTimeout,
      .overloaded:
      false
    }
  }

  static func refusedTooOften(_ wait: Duration) -> TokenError {
    TokenError(
      cause: .overloaded,
      message: "too much was asked for that the tenant refuses; what has never yielded a token has to wait",
      retryAfter: wait)
  }
}
