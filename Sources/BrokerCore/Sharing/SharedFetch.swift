package import Basics
package import OAuth

/// How one broker of a fleet comes to a token that it wants from the tenant: it asks only if it has the key's claim, and
/// otherwise waits for what the one that has it leaves in the store. A value that takes the time and says what to do next,
/// so that any history can be played through it.
package struct SharedFetch {
  package enum Step {
    /// Ask the tenant, renew the claim meanwhile, and leave there what comes of it. nil: nobody can have it.
    case mint(StoreClaim?)
    /// Claim again then, or when the store tells of a change.
    case wait(until: Instant)
    /// What others have left is the answer; a claim that was granted is given up.
    case finish(Result<MintedToken, TokenError>, releasing: StoreClaim?)
  }

  /// A holder that has died is replaced after so long.
  package static let lease = Duration.seconds(3)
  /// Between renewals.
  package static let renewal = Duration.seconds(1)
  /// Doubling from the first to the last: word of a change may get lost.
  private static let firstWait = Duration.milliseconds(50)
  private static let longestWait = Duration.seconds(1)

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

  /// After claiming; `found` is what was there then. `outcome` is nil if the store cannot be used: then each broker is for
  /// itself.
  package mutating func step(_ outcome: StoreAnswer.Outcome?, _ found: SharedFinding, now: Instant) -> Step {
    guard let outcome else { return .mint(nil) }
    var claim: StoreClaim?
    if case .granted(let granted) = outcome { claim = granted }
    if let token = found.token, token.isNewer(than: holding),
      now.duration(to: token.expiresAt) > token.margin(minRemaining)
    {
      return .finish(.success(token), releasing: claim)
    }
    guard case .taken(let left) = outcome else {
      if let failure = found.failure { return .finish(.failure(failure), releasing: claim) }
      return .mint(claim)
    }
    if now >= deadline { return .finish(.failure(.timedOut), releasing: nil) }
    let wait = min(Self.firstWait * (1 << min(waits, 10)), Self.longestWait)
    waits += 1
    return .wait(until: min(now.advanced(by: min(wait, max(left, .milliseconds(1)))), deadline))
  }
}

/// What a store has about a key, opened and checked.
package struct SharedFinding: Sendable {
  package var token: MintedToken?
  /// Others have met with it; `retryAfter` is what is left of its time.
  package var failure: TokenError?

  package init(token: MintedToken? = nil, failure: TokenError? = nil) {
    self.token = token
    self.failure = failure
  }
}

/// A failure that the others of a fleet should know of.
package struct SharedFailure: Sendable {
  package enum Reach: Sendable {
    case key
    case organization
    case client
  }

  package let error: TokenError
  package let reach: Reach
  /// For so long nobody need ask again.
  package let lifetime: Duration

  /// As long as a client's own patience with a limit.
  static let longest = Duration.seconds(3600)

  /// nil for what says nothing to others: of credentials, which may differ between brokers while they are rotated; of
  /// checks, which one broker may fail alone, because its clock is wrong; and of what a broker does by itself.
  package init?(_ error: TokenError) {
    self.error = error
    switch error.cause {
    case .brokerMisconfigured, .tokenValidationFailed, .invalidCaller, .overloaded: return nil
    case .upstreamRateLimited:
      reach = error.isOfOrganization ? .organization : .client
      lifetime = min(max(error.retryAfter ?? .seconds(1), .seconds(1)), Self.longest)
    case .upstreamUnavailable, .upstreamTimeout:
      reach = .key
      lifetime = .seconds(1)
    case .unknownAudience, .audienceNotGranted, .invalidUpstreamResponse:
      reach = .key
      lifetime = .seconds(60)
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
