package import Basics
package import OAuth

/// How one broker of a fleet comes to a token that it wants from the tenant: it asks only if it has the key's claim,
/// and otherwise waits for what the one that has it leaves in the store. A value that takes the time and says what to
/// do next, so that any history can be played through it.
package struct SharedFetch {
  package enum Step {
    /// Ask the tenant, renew the claim meanwhile, and leave in the store what comes of it. Without a claim, because
    /// nobody can have it, just ask.
    case mint(StoreClaim?)
    /// Claim again then, or when the store tells of a change.
    case wait(until: Instant)
    /// What others have left is the answer; a claim that was granted is given up.
    case finish(Result<MintedToken, TokenError>, releasing: StoreClaim?)
  }

  /// A holder that has died is replaced after so long.
  package static let lease = Duration.seconds(3)
  /// The time between renewals.
  package static let renewal = Duration.seconds(1)
  /// Word of a change may get lost.
  private static let waiting = Backoff(first: .milliseconds(50), longest: .seconds(1))

  /// The token to be replaced.
  private let holding: MintedToken?
  private let minRemaining: Duration
  private let deadline: Instant
  private var waits = 0

  package init(holding: MintedToken?, minRemaining: Duration, deadline: Instant) {
    self.holding = holding
    self.minRemaining = minRemaining
    self.deadline = deadline
  }

  /// What to do after claiming; `found` is what was in the store then. `outcome` is nil if nothing can be claimed:
  /// then each broker is for itself.
  package mutating func step(_ outcome: StoreAnswer.Outcome?, _ found: SharedFinding, now: Instant) -> Step {
    var claim: StoreClaim?
    if case .granted(let granted)? = outcome { claim = granted }
    if let token = found.token, token.isNewer(than: holding),
      now.duration(to: token.expiresAt) > token.margin(minRemaining)
    {
      return .finish(.success(token), releasing: claim)
    }
    guard case .taken(let left)? = outcome else {
      if var failure = found.failure {
        failure.isFromStore = true
        return .finish(.failure(failure), releasing: claim)
      }
      return .mint(claim)
    }
    if now >= deadline { return .finish(.failure(.timedOut), releasing: nil) }
    waits += 1
    let wait = Self.waiting.delay(after: waits)
    return .wait(until: min(now.advanced(by: min(wait, max(left, .milliseconds(1)))), deadline))
  }
}

/// What a store has about a key, opened and checked.
package struct SharedFinding: Sendable {
  package var token: MintedToken?
  /// Why others got no token; `retryAfter` is what is left of its time.
  package var failure: TokenError?

  package init(token: MintedToken? = nil, failure: TokenError? = nil) {
    self.token = token
    self.failure = failure
  }

  /// What a fetch came to that has asked nobody else.
  init(_ result: Result<MintedToken, TokenError>) {
    switch result {
    case .success(let token): self.init(token: token)
    case .failure(let error): self.init(failure: error)
    }
  }
}

extension Result<MintedToken, TokenError> {
  /// The tenant was not asked: another broker had left this in the store.
  var isFromStore: Bool {
    switch self {
    case .success(let token): token.isFromStore
    case .failure(let error): error.isFromStore
    }
  }
}

extension MintedToken {
  /// Whether it takes the place of `other`. A store that puts back what was there before is not believed.
  package func isNewer(than other: MintedToken?) -> Bool {
    guard let other else { return true }
    return mintedAt > other.mintedAt && accessToken != other.accessToken
  }
}
