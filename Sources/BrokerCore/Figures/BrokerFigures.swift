package import Basics

/// What the broker has done so far and holds now, for those who watch it.
package struct BrokerFigures: Sendable {
  /// How look-ups beyond the event loops' own tables went: each counts as one of these, once it is answered.
  package struct Lookups: Sendable {
    /// A token was held that would do.
    package var hit = 0
    /// The tenant was asked because of it, whatever came of that.
    package var miss = 0
    /// The tenant was being asked already.
    package var coalesced = 0
    /// The current token had to do, though a newer one was wanted.
    package var stale = 0
    /// Refused at once, because of a failure that is remembered or because too many wait.
    package var negative = 0

    package var all: Int { hit + miss + coalesced + stale + negative }
  }

  package struct Client: Sendable {
    /// Requests to the tenant by how they ended: `ok`, the error's code, or `resent` where one was refused and sent
    /// again with other credentials.
    package var outcomes: [String: Int] = [:]
    /// How long those requests took.
    package var durations = Histogram()
    package var minted = 0
    /// Answers that cost no mint, beyond those of the event loops.
    package var saved = 0
    /// Requests that were refused because an allowance for refusals was used up.
    package var unpaid = 0
    /// What the tenant last said is left of its quotas, by their names.
    package var quota: [String: Quota] = [:]
    package var lastMint: Instant?
    package var lastFailure: PastFailure?

    package init() {}
  }

  package struct Quota: Sendable {
    package let limit: Int
    package let remaining: Int
    package let resetsAt: Instant
  }

  /// A token that is held.
  package struct Token: Sendable {
    package let key: TokenKey
    package let expiresAt: Instant
  }

  package var lookups = Lookups()
  package var clients: [String: Client] = [:]
  package var tokens: [Token] = []
  /// The months' allotments of clients that have one, by name, once they have been asked for a token.
  package var budgets: [String: ClientStatus.Budget] = [:]
  /// What was asked of the store, where there is one.
  package var store: StoreFigures?

  package init() {}
}
