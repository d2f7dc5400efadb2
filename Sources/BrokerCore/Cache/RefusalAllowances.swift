import Basics
import OAuth

/// How much each payer may still make each client's tenant refuse: a value that takes the time.
///
/// A tenant counts refusals like any request, so whoever makes up audiences would spend its rate limit for everybody.
/// They are charged when they come, not when they are asked for: good audiences that are new cost nothing.
///
/// Newcomers, who bring credentials that were never accepted, have an allowance all together, of which no place that
/// they come from gets more than a quarter, and no client id there more than a tenth at once: who guesses in one place
/// keeps nobody in another from being accepted.
struct RefusalAllowances {
  /// Whose refusals are counted together.
  private enum Debtor: Hashable {
    case payer(Payer)
    case source(String)
    case newcomers
  }

  private struct Account: Hashable {
    let debtor: Debtor
    let client: UpstreamID
  }

  /// Accounts that are told apart.
  private static let maxAccounts = 1000

  /// What accounts begin with.
  private let whole: RateLimiter
  private let ofSource: RateLimiter
  private let ofClientID: RateLimiter
  private var accounts: [Account: RateLimiter] = [:]
  /// For those there is no room for, as if they were one.
  private var others: RateLimiter

  init(_ rules: TokenCache.Rules) {
    let (burst, perMinute) = (rules.refusalBurst, rules.refusalsPerMinute)
    whole = RateLimiter(burst: burst, perMinute: perMinute)
    ofSource = RateLimiter(burst: max(1, burst / 4), perMinute: max(1, perMinute / 4))
    ofClientID = RateLimiter(burst: max(1, burst / 10), perMinute: max(1, perMinute / 6))
    others = whole
  }

  /// All that are charged with the payer's refusals, and what each begins with.
  private func debtors(_ payer: Payer) -> [(debtor: Debtor, initial: RateLimiter)] {
    guard case .newcomer(_, let source) = payer else { return [(.payer(payer), whole)] }
    return [(.payer(payer), ofClientID), (.source(source), ofSource), (.newcomers, whole)]
  }

  /// How long to wait until the payer may cause a refusal again; nil: it may now.
  func wait(_ payer: Payer, _ client: UpstreamID, now: Instant) -> Duration? {
    debtors(payer).compactMap { debtor, initial in
      let account = accounts[Account(debtor: debtor, client: client)]
      return (account ?? (accounts.count < Self.maxAccounts ? initial : others)).wait(now: now)
    }.max()
  }

  /// Charges a refusal, of a request that was sent when the payer might cause one.
  mutating func charge(_ payer: Payer, _ client: UpstreamID, now: Instant) {
    for (debtor, initial) in debtors(payer) {
      let account = Account(debtor: debtor, client: client)
      if accounts[account] == nil, accounts.count >= Self.maxAccounts {
        accounts = accounts.filter { !$0.value.isIdle(now: now) }
      }
      if accounts[account] == nil, accounts.count >= Self.maxAccounts {
        others.charge(now: now)
      } else {
        accounts[account, default: initial].charge(now: now)
      }
    }
  }
}

extension Payer {
  /// Whether this is what came of asking for something that may be made up: a refusal; and where accepted credentials
  /// of one's own were brought along, a token as well, for one can be had for every parameter that is thought up.
  func isCharged(for result: Result<MintedToken, TokenError>, of key: TokenKey) -> Bool {
    switch result {
    case .failure(let error): error.isCharged(to: key)
    case .success: if case .holder = self { true } else { false }
    }
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
      .overloaded, .allowanceUsedUp:
      false
    }
  }

  static func refusedTooOften(_ wait: Duration) -> TokenError {
    TokenError(
      cause: .allowanceUsedUp,
      message: "too much was asked for that is new or refused; what has never yielded a token has to wait",
      retryAfter: wait)
  }
}
