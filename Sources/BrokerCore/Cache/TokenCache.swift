package import Basics
import HeapModule
package import OAuth

/// Which token is held for which key, who waits for it, what is being fetched, and what is remembered of failures.
///
/// A value that takes the time and returns what to do. It knows no clock, no network and no task, so that any history
/// can be played through it. Its state is open to its extensions, and nobody else changes it: `+Requests` answers
/// callers, `+Store` and `+Tenant` get tokens, `+Schedule` does what is due.
package struct TokenCache {
  package typealias WaiterID = UInt64

  package struct Rules: Sendable {
    /// A token is not served with less life left than this, or than an eighth of its lifetime where that is less.
    package var minRemaining = Duration.seconds(30)
    /// A token younger than this is the freshest there is.
    package var minRefreshInterval = Duration.seconds(30)
    /// How long before its end a token in use is replaced; nil: by its lifetime.
    package var refreshBefore: Duration?
    package var maxEntries = 100_000
    /// Requests waiting for fetches, over all keys; half of them for keys that have never yielded a token.
    package var maxWaiters = 20_000
    /// How often, on average, each payer may make a client's tenant refuse what it has never granted.
    package var refusalsPerMinute = 60
    /// So many at once after a quiet time.
    package var refusalBurst = 100
    package var client = ClientGate.Rules()

    package init() {}
  }

  package enum Action {
    /// See what the store has for the key; `loaded` must follow, once.
    case load(TokenKey)
    /// Ask upstream for a token; `fetched` must follow, once.
    case fetch(TokenKey)
    case answer(WaiterID, Result<CachedToken, TokenError>)
    /// The current token of its key, for everyone who hands tokens out.
    case publish(CachedToken)
    /// The key's token is not held any more.
    case withdraw(TokenKey)
  }

  /// A client's gate to its tenant, and its keys that want to go through.
  struct Client {
    var gate: ClientGate
    var queue = FetchQueue()
    /// What the last token was signed with, and most others are, too.
    var keyID: String?
    /// When the gate may let the next one through.
    var wakeAt = Instant.distantFuture
  }

  /// When something is due for a key.
  struct DueTime: Comparable {
    let at: Instant
    let key: TokenKey

    static func < (left: DueTime, right: DueTime) -> Bool { left.at < right.at }
  }

  package private(set) var rules: Rules
  /// There is a store, which is asked before the tenant.
  let hasStore: Bool
  /// Those held from the start and always replaced in time.
  private(set) var prefetched: Set<TokenKey> = []
  var random: SeededGenerator
  var entries: [TokenKey: Entry] = [:]
  var clients: [UpstreamID: Client] = [:]
  /// When something is due; a time that is not its entry's `dueAt` is out of date.
  var dueTimes = Heap<DueTime>()
  var waiterCount = 0
  var unprovenWaiterCount = 0
  var allowances: RefusalAllowances
  var proven = ProvenKeys()
  var actions: [Action] = []
  private var month = 0
  package internal(set) var lookups = BrokerFigures.Lookups()
  /// Answers that cost no mint, by client.
  package internal(set) var saved: [String: Int] = [:]

  package init(rules: Rules = Rules(), hasStore: Bool = false, seed: UInt64 = .random(in: .min ... .max)) {
    self.rules = rules
    self.hasStore = hasStore
    random = SeededGenerator(seed: seed)
    allowances = RefusalAllowances(rules)
  }

  package var count: Int { entries.count }

  // MARK: What happens

  /// A request for a token, to be answered by `deadline`. `payer` is charged if the tenant refuses it and it has never
  /// yielded a token; nil: it stands in the configuration.
  package mutating func request(
    _ key: TokenKey, _ demand: Demand, waiter: WaiterID, payer: Payer? = nil, deadline: Instant, now: Instant
  ) -> [Action] {
    let waiter = Waiter(id: waiter, demand: demand, deadline: deadline, payer: payer)
    return changing(key.client, now) { cache in cache.ask(key, waiter, now) }
  }

  /// What a fetch came to. A failure leaves the current token as it is.
  package mutating func fetched(_ key: TokenKey, _ result: Result<MintedToken, TokenError>, now: Instant) -> [Action] {
    guard case .running(let admission, _)? = entries[key]?.fetch else { return [] }
    return changing(key.client, now) { cache in cache.finish(key, admission, result, now) }
  }

  /// What the store has for a key.
  package mutating func loaded(_ key: TokenKey, _ found: SharedFinding, now: Instant) -> [Action] {
    guard case .loading? = entries[key]?.fetch else { return [] }
    return changing(key.client, now) { cache in cache.take(found, for: key, now) }
  }

  /// A token is used though it is due to be replaced (`CachedToken.isFirstUseWhenDue`).
  package mutating func used(_ key: TokenKey, now: Instant) -> [Action] {
    changing(key.client, now) { cache in cache.reschedule(key, now) }
  }

  /// The tenant publishes exactly these keys, as of `asked`: tokens signed before with any other are worth nothing.
  package mutating func keySetChanged(
    _ keyIDs: Set<String>, client: UpstreamID, asked: Instant, now: Instant
  ) -> [Action] {
    changing(client, now) { cache in
      let revoked = cache.entries.values.filter { entry in
        guard entry.key.client == client, let token = entry.token?.minted, let id = token.keyID else { return false }
        return token.mintedAt < asked && !keyIDs.contains(id)
      }
      for key in revoked.map(\.key) {
        cache.actions.append(.withdraw(key))
        cache.reschedule(key, now) { entry in entry.token = nil }
      }
    }
  }

  /// The client has other credentials now.
  package mutating func credentialsChanged(client: UpstreamID, now: Instant) -> [Action] {
    changing(client, now) { cache in cache.forgetRefusals(of: client) }
  }

  /// The wall clock was set: a token that was refused for its dates may be sound.
  package mutating func clockStepped(now: Instant) -> [Action] {
    for entry in entries.values where entry.failure?.error.dependsOnClock == true {
      reschedule(entry.key, now) { entry in entry.failure = nil }
    }
    return advance(now: now)
  }

  private mutating func forgetRefusals(of client: UpstreamID) {
    clients[client]?.gate.credentialsChanged()
    let refused = entries.values.filter { $0.key.client == client && $0.failure?.error.cause == .brokerMisconfigured }
    for entry in refused { entries[entry.key]?.failure = nil }
  }

  /// Takes over other rules, and other keys to prefetch. The tokens of `forgotten` clients, which nobody will ask for
  /// again, go; who waits for one still gets it. What was refused of credentials may be well by now.
  package mutating func configure(
    _ rules: Rules, prefetched: Set<TokenKey>, forgetting forgotten: Set<UpstreamID> = [], now: Instant
  ) -> [Action] {
    if (rules.refusalsPerMinute, rules.refusalBurst) != (self.rules.refusalsPerMinute, self.rules.refusalBurst) {
      allowances = RefusalAllowances(rules)
    }
    self.rules = rules
    self.prefetched = prefetched
    for client in clients.keys {
      clients[client]?.gate.configure(rules.client)
      forgetRefusals(of: client)
    }
    for key in entries.keys.filter({ forgotten.contains($0.client) }) {
      if entries[key]?.token != nil { actions.append(.withdraw(key)) }
      reschedule(key, now) { entry in entry.forget() }
    }
    for key in prefetched {
      addClient(key.client, now)
      reschedule(entries.removeValue(forKey: key) ?? newEntry(key), now)
    }
    return advance(now: now)
  }

  /// Months of allotments, told as any number that grows.
  package mutating func enter(month: Int) {
    if month == self.month { return }
    self.month = month
    for client in clients.keys { clients[client]?.gate.mints.enter(month: month) }
  }

  /// What is due by `now`.
  package mutating func advance(now: Instant) -> [Action] {
    while let first = dueTimes.min, first.at <= now {
      dueTimes.removeMin()
      if entries[first.key]?.dueAt == first.at { reschedule(first.key, now) }
    }
    for client in Array(clients.keys) { startFetches(client, now) }
    return takeActions()
  }

  /// When `advance` is due; nil when nothing is.
  package var nextEvent: Instant? {
    let next = min(dueTimes.min?.at ?? .distantFuture, clients.values.map(\.wakeAt).min() ?? .distantFuture)
    return next == .distantFuture ? nil : next
  }

  private mutating func changing(
    _ client: UpstreamID, _ now: Instant, _ change: (inout TokenCache) -> Void
  ) -> [Action] {
    addClient(client, now)
    change(&self)
    startFetches(client, now)
    evict()
    return takeActions()
  }

  private mutating func addClient(_ client: UpstreamID, _ now: Instant) {
    guard clients[client] == nil else { return }
    clients[client] = Client(gate: ClientGate(rules: rules.client, now: now))
    clients[client]?.gate.mints.enter(month: month)
  }

  func newEntry(_ key: TokenKey) -> Entry { Entry(key, isUnproven: !proven.contains(key)) }

  private mutating func takeActions() -> [Action] {
    // Times that were replaced are passed over when they come; when there are too many, they go at once.
    if dueTimes.count > entries.count + entries.count / 4 + 1024 {
      dueTimes = Heap(dueTimes.unordered.filter { entries[$0.key]?.dueAt == $0.at })
    }
    defer { actions = [] }
    return actions
  }

  // MARK: What is held

  /// Whether a token is held for the key, or being asked for.
  package func isConcerned(with key: TokenKey) -> Bool { entries[key].map { $0.token != nil || !$0.isIdle } ?? false }

  /// What a token of the key must be newer than to be taken over from others.
  package func newest(_ key: TokenKey) -> MintedToken? { entries[key]?.mustBeNewerThan }

  /// The key's token, if one is held.
  package func token(_ key: TokenKey) -> CachedToken? { entries[key]?.token }

  /// The tokens that are held.
  package var tokens: [CachedToken] { entries.values.compactMap(\.token) }

  /// The clients whose tokens are held and were checked against a tenant's keys.
  package var clientsWithSignedTokens: Set<UpstreamID> {
    entries.values.reduce(into: []) { clients, entry in
      if entry.token?.minted.keyID != nil { clients.insert(entry.key.client) }
    }
  }
}
