package import Basics
import HeapModule
package import OAuth

/// Which token is held for which key, who waits for it, what is being fetched, and what is remembered of failures: a value
/// that takes the time and returns what to do. It knows no clock, no network and no task, so that any history can be
/// played through it. Its state is open to the files of its extensions, and nobody else changes it.
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

  struct Entry {
    var token: CachedToken?
    var fetch = KeyStatus.Fetch.none
    var waiters: [Waiter] = []
    var failure: Failure?
    /// For people, who want to know of one that is over, too.
    var lastFailure: PastFailure?
    /// Answers that cost no mint, beyond those of the event loops.
    var hits = 0
    /// It has never yielded a token.
    var isUnproven = true
    var isRunningAsUnproven = false
    var isRunningAsProbe = false
    /// When the store was last seen to.
    var loadedAt: Instant?
    /// What is under way was asked for under a configuration that is gone: it is good for those who wait, and not kept.
    var isOutdated = false
    /// When `look` is due.
    var lookAt = Instant.distantFuture

    /// What is kept longer when room runs out.
    var worth: (Int, Int64) { (token?.lastUsed ?? .min, failure?.until.nanoseconds ?? .min) }
  }

  struct Waiter {
    let id: WaiterID
    let demand: Demand
    let deadline: Instant
    /// As what its look-up counts once it is answered, unless an old token has to do.
    var lookup: WritableKeyPath<BrokerFigures.Lookups, Int> = \.negative
  }

  struct Client {
    var gate: ClientGate
    var queue = FetchQueue()
    var wakeAt = Instant.distantFuture
  }

  struct Look: Comparable {
    let at: Instant
    let key: TokenKey

    static func < (left: Look, right: Look) -> Bool { left.at < right.at }
  }

  package private(set) var rules: Rules
  /// There is a store, which is asked before the tenant.
  let hasStore: Bool
  /// Those held from the start and always replaced in time.
  private(set) var prefetched: Set<TokenKey> = []
  var random: SeededGenerator
  var entries: [TokenKey: Entry] = [:]
  var clients: [UpstreamID: Client] = [:]
  /// When which entry is to be looked at; those that do not say what the entry says are out of date.
  var looks = Heap<Look>()
  var waiterCount = 0
  var unprovenWaiterCount = 0
  var actions: [Action] = []
  private var month = 0
  package internal(set) var lookups = BrokerFigures.Lookups()
  /// Answers that cost no mint, by client.
  package internal(set) var saved: [String: Int] = [:]

  /// What the store had for a key, or had not, is taken for true so long.
  static let storeMemory = Duration.seconds(1)

  package init(rules: Rules = Rules(), hasStore: Bool = false, seed: UInt64 = .random(in: .min ... .max)) {
    self.rules = rules
    self.hasStore = hasStore
    random = SeededGenerator(seed: seed)
  }

  package var count: Int { entries.count }

  // MARK: What happens

  /// A request for a token, to be answered by `deadline`.
  package mutating func request(
    _ key: TokenKey, _ demand: Demand, waiter: WaiterID, deadline: Instant, now: Instant
  ) -> [Action] {
    changing(key.client, now) { cache in cache.ask(key, Waiter(id: waiter, demand: demand, deadline: deadline), now) }
  }

  /// What a fetch came to. A failure leaves the current token as it is.
  package mutating func fetched(
    _ key: TokenKey, _ result: Result<MintedToken, TokenError>, now: Instant
  ) -> [Action] {
    guard entries[key]?.fetch == .running else { return [] }
    return changing(key.client, now) { cache in cache.finish(key, result, now) }
  }

  /// What the store has for a key.
  package mutating func loaded(_ key: TokenKey, _ found: SharedFinding, now: Instant) -> [Action] {
    guard entries[key]?.fetch == .loading else { return [] }
    return changing(key.client, now) { cache in cache.take(found, for: key, now) }
  }

  /// A token is used though it is due to be replaced (`CachedToken.isFirstUseWhenDue`).
  package mutating func used(_ key: TokenKey, now: Instant) -> [Action] {
    changing(key.client, now) { cache in cache.look(key, now) }
  }

  /// Whether a token of one of `clients` is held that names the key it is signed with.
  package func holdsSignedTokens(of clients: Set<UpstreamID>) -> Bool {
    entries.contains { clients.contains($0.key.client) && $0.value.token?.minted.keyID != nil }
  }

  /// The tenant publishes exactly these keys, as of `asked`: tokens signed before with any other are worth nothing.
  package mutating func keySetChanged(_ keyIDs: Set<String>, client: UpstreamID, asked: Instant, now: Instant)
    -> [Action]
  {
    changing(client, now) { cache in
      for (key, entry) in cache.entries where key.client == client {
        guard let token = entry.token, token.minted.mintedAt < asked, let id = token.minted.keyID,
          !keyIDs.contains(id)
        else { continue }
        cache.entries[key]?.token = nil
        cache.actions.append(.withdraw(key))
        cache.look(key, now)
      }
    }
  }

  /// The client has other credentials now.
  package mutating func credentialsChanged(client: UpstreamID, now: Instant) -> [Action] {
    changing(client, now) { cache in cache.credentialsChanged(client) }
  }

  private mutating func credentialsChanged(_ client: UpstreamID) {
    clients[client]?.gate.credentialsChanged()
    for (key, entry) in entries where key.client == client && entry.failure?.error.cause == .brokerMisconfigured {
      entries[key]?.failure = nil
    }
  }

  /// Takes over other rules, and other keys to prefetch. The tokens of `forgotten` clients, which nobody will ask for
  /// again, go; who waits for one still gets it. What was refused of credentials may be well by now.
  package mutating func configure(
    _ rules: Rules, prefetched: Set<TokenKey>, forgetting forgotten: Set<UpstreamID> = [], now: Instant
  ) -> [Action] {
    self.rules = rules
    self.prefetched = prefetched
    for client in clients.keys {
      clients[client]?.gate.configure(rules.client)
      credentialsChanged(client)
    }
    for (key, entry) in entries where forgotten.contains(key.client) {
      entries[key]?.failure = nil
      entries[key]?.isOutdated = entry.fetch == .running || entry.fetch == .loading
      if entry.token != nil { actions.append(.withdraw(key)) }
      entries[key]?.token = nil
      look(key, now)
    }
    for key in prefetched {
      meet(key.client, now)
      if entries[key] == nil { entries[key] = Entry() }
      look(key, now)
    }
    return advance(now: now)
  }

  /// Whether a token is held for the key, or being asked for.
  package func isConcerned(with key: TokenKey) -> Bool {
    entries[key].map { $0.token != nil || $0.fetch != .none } ?? false
  }

  /// The key's token, if one is held.
  package func token(_ key: TokenKey) -> CachedToken? { entries[key]?.token }

  /// The tokens that are held.
  package var tokens: [CachedToken] { entries.values.compactMap(\.token) }

  /// Months of allotments, told as any number that grows.
  package mutating func enter(month: Int) {
    self.month = month
    for client in clients.keys { clients[client]?.gate.enter(month: month) }
  }

  /// What is due by `now`.
  package mutating func advance(now: Instant) -> [Action] {
    while let first = looks.min, first.at <= now {
      looks.removeMin()
      if entries[first.key]?.lookAt == first.at { look(first.key, now) }
    }
    for client in Array(clients.keys) { pump(client, now) }
    return takeActions()
  }

  /// When `advance` is due; nil when nothing is.
  package var nextEvent: Instant? {
    let next = min(looks.min?.at ?? .distantFuture, clients.values.map(\.wakeAt).min() ?? .distantFuture)
    return next == .distantFuture ? nil : next
  }

  private mutating func changing(_ client: UpstreamID, _ now: Instant, _ change: (inout TokenCache) -> Void) -> [Action]
  {
    meet(client, now)
    change(&self)
    pump(client, now)
    evict()
    return takeActions()
  }

  private mutating func meet(_ client: UpstreamID, _ now: Instant) {
    guard clients[client] == nil else { return }
    clients[client] = Client(gate: ClientGate(rules: rules.client, now: now))
    clients[client]?.gate.enter(month: month)
  }

  private mutating func takeActions() -> [Action] {
    defer { actions = [] }
    return actions
  }
}
