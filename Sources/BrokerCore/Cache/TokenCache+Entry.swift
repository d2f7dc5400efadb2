import Basics
import OAuth

extension TokenCache {
  /// What is known of one key: its token, who waits for one, how a new one is being got, and what went wrong.
  ///
  /// The cache takes an entry out of its dictionary while it changes, so that its array is not copied, and puts it back
  /// when that is done (`reschedule`).
  @dynamicMemberLookup struct Entry {
    let key: TokenKey
    var token: CachedToken?
    /// Answers that cost no mint, beyond those of the event loops.
    var hits = 0
    /// When `reschedule` is to be called next.
    var dueAt = Instant.distantFuture
    /// nil where there is nothing of it, as mostly while a token is held.
    private var rest: Box?
    /// When the store was last asked.
    var loadedAt: Instant?
    /// It has never yielded a token.
    var isUnproven: Bool

    init(_ key: TokenKey, isUnproven: Bool) {
      self.key = key
      self.isUnproven = isUnproven
    }

    /// What goes on and went wrong, as if it were the entry's own.
    subscript<Member>(dynamicMember member: WritableKeyPath<Rest, Member>) -> Member {
      get { (rest?.value ?? Rest())[keyPath: member] }
      _modify {
        var box = rest.take() ?? Box(Rest())
        if !isKnownUniquelyReferenced(&box) { box = Box(box.value) }
        defer { rest = box }
        yield &box.value[keyPath: member]
      }
    }

    /// Takes no more room than it needs from now on.
    mutating func shrink() { if rest?.value.isBlank == true { rest = nil } }

    private final class Box {
      var value: Rest

      init(_ value: Rest) { self.value = value }
    }
  }

  /// What an entry has of waiting, asking and failing.
  struct Rest {
    var fetch = Entry.Fetch.none
    var waiters: [Waiter] = []
    /// The failure that callers are told of, and that the next one is counted after.
    var failure: Failure?
    /// For people, who want to know of a failure that is over, too.
    var lastFailure: PastFailure?
    /// What was let go of on demand, and when.
    var purged: Entry.Purged?

    var isBlank: Bool {
      if case .none = fetch { waiters.isEmpty && failure == nil && lastFailure == nil && purged == nil } else { false }
    }
  }

  struct Waiter {
    let id: WaiterID
    let demand: Demand
    let deadline: Instant
    /// Whom a refusal is charged to while the key is unproven; nil: nobody.
    let payer: Payer?
    /// As what its look-up counts once it is answered, unless an old token has to do.
    var lookup: WritableKeyPath<BrokerFigures.Lookups, Int> = \.negative
    /// It is counted among those who wait for keys that have never yielded a token.
    var isUnproven = false
  }
}

extension TokenCache.Entry {
  /// The token that somebody has had thrown away: it is not taken back from a store.
  struct Purged {
    let token: MintedToken?
    let at: Instant
  }

  /// How a new token is being got.
  ///
  /// - `none` becomes `loading` where a store may have a token, and otherwise `queued`.
  /// - `loading` becomes `none` when the store has answered, and `queued` if somebody still waits.
  /// - `queued` becomes `running` when the gate admits it, and `none` when nobody needs it any more or the gate
  ///   is shut.
  /// - `running` becomes `none` with the tenant's answer.
  enum Fetch {
    case none
    /// The store is asked.
    case loading(isOutdated: Bool)
    /// The tenant is to be asked.
    case queued(FetchQueue.Rank)
    /// The tenant is asked. A fetch that is outdated was begun under a configuration that is gone: what it comes to is
    /// good for those who wait, and is not kept.
    case running(ClientGate.Admission, isOutdated: Bool)
  }

  /// The same for people, who need not know more.
  var stage: KeyStatus.Fetch {
    switch self.fetch {
    case .none: .none
    case .loading: .loading
    case .queued: .queued
    case .running: .running
    }
  }

  /// Nothing is being got.
  var isIdle: Bool { stage == .none }

  /// What is under way is not to be kept.
  var isOutdated: Bool {
    switch self.fetch {
    case .none, .queued: false
    case .loading(let isOutdated), .running(_, let isOutdated): isOutdated
    }
  }

  /// It says nothing that a new entry would not.
  var isBlank: Bool {
    token == nil && isIdle && self.waiters.isEmpty && self.failure == nil && self.lastFailure == nil && loadedAt == nil
      && self.purged == nil
  }

  /// What is kept longer when room runs out.
  var worth: (Int, Int64) { (token?.lastUsed ?? .min, self.failure?.until.nanoseconds ?? .min) }

  /// Who pays if the tenant refuses the key now: whoever has waited longest.
  var payer: Payer? { isUnproven ? self.waiters.first?.payer : nil }

  /// What a token must be newer than to be taken over from others.
  var mustBeNewerThan: MintedToken? { token?.minted ?? self.purged?.token }

  /// A token that can be given out.
  func servableToken(_ now: Instant) -> CachedToken? { token.flatMap { $0.isServable(at: now) ? $0 : nil } }

  /// Holds `token` from now on.
  mutating func keep(_ token: CachedToken) {
    self.token = token
    self.failure = nil
    isUnproven = false
  }

  /// Lets go of what is held and remembered, and of what is being got.
  mutating func forget() {
    token = nil
    self.failure = nil
    switch self.fetch {
    case .none, .queued: break
    case .loading: self.fetch = .loading(isOutdated: true)
    case .running(let admission, _): self.fetch = .running(admission, isOutdated: true)
    }
  }

  /// Remembers that no token could be had. Near the end of the held one the next try comes sooner.
  mutating func remember(_ error: TokenError, now: Instant, random: inout SeededGenerator) {
    let left = token.map { now.duration(to: $0.servableUntil) }
    self.failure = Failure(error, after: self.failure, left: left, now: now, random: &random)
  }
}
