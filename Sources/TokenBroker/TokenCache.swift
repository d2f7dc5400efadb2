package import Clocks
import HeapModule
package import OAuth

/// Which token is held for which key, who waits for it, what is being fetched, and what is remembered of failures: a value
/// that takes the time and returns what to do. It knows no clock, no network and no task, so that any history can be
/// played through it.
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
    fileprivate var waiters: [Waiter] = []
    var failure: Failure?
    /// For people, who want to know of one that is over, too.
    var lastFailure: PastFailure?
    /// Answers that cost no mint, beyond those of the event loops.
    var hits = 0
    /// It has never yielded a token.
    var isStranger = true
    var isRunningAsStranger = false
    var isRunningAsProbe = false
    /// When the store was last seen to.
    var loadedAt: Instant?
    /// What is under way was asked for under a configuration that is gone: it is good for those who wait, and not kept.
    var isOutdated = false
    /// When `look` is due.
    var lookAt = Instant.distantFuture

    /// What is kept longer when room runs out.
    fileprivate var worth: (Int, Int64) { (token?.lastUsed ?? .min, failure?.until.nanoseconds ?? .min) }
  }

  fileprivate struct Waiter {
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

  private struct Look: Comparable {
    let at: Instant
    let key: TokenKey

    static func < (left: Look, right: Look) -> Bool { left.at < right.at }
  }

  package private(set) var rules: Rules
  /// There is a store, which is asked before the tenant.
  private let hasStore: Bool
  /// Those held from the start and always replaced in time.
  private(set) var prefetched: Set<TokenKey> = []
  private var random: SeededGenerator
  private(set) var entries: [TokenKey: Entry] = [:]
  private(set) var clients: [ClientID: Client] = [:]
  /// When which entry is to be looked at; those that do not say what the entry says are out of date.
  private var looks = Heap<Look>()
  private var waiterCount = 0
  private var strangerWaiterCount = 0
  private var actions: [Action] = []
  private var month = 0
  package private(set) var lookups = BrokerFigures.Lookups()
  /// Answers that cost no mint, by client.
  package private(set) var saved: [String: Int] = [:]

  /// A refusal is remembered this long beyond its time, so that the next one counts as a repetition.
  private static let grudge = Duration.seconds(600)
  /// What the store had for a key, or had not, is taken for true so long.
  private static let storeMemory = Duration.seconds(1)

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

  /// The tenant publishes exactly these keys, as of `asked`: tokens signed before with any other are worth nothing.
  package mutating func keySetChanged(_ keyIDs: Set<String>, client: ClientID, asked: Instant, now: Instant) -> [Action]
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
  package mutating func credentialsChanged(client: ClientID, now: Instant) -> [Action] {
    changing(client, now) { cache in cache.credentialsChanged(client) }
  }

  private mutating func credentialsChanged(_ client: ClientID) {
    clients[client]?.gate.credentialsChanged()
    for (key, entry) in entries where key.client == client && entry.failure?.error.code == .brokerMisconfigured {
      entries[key]?.failure = nil
    }
  }

  /// Takes over other rules, and other keys to prefetch. The tokens of `forgotten` clients, which nobody will ask for
  /// again, go; who waits for one still gets it. What was refused of credentials may be well by now.
  package mutating func configure(
    _ rules: Rules, prefetched: Set<TokenKey>, forgetting forgotten: Set<ClientID> = [], now: Instant
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

  private mutating func changing(_ client: ClientID, _ now: Instant, _ change: (inout TokenCache) -> Void) -> [Action] {
    meet(client, now)
    change(&self)
    pump(client, now)
    evict()
    return takeActions()
  }

  private mutating func meet(_ client: ClientID, _ now: Instant) {
    guard clients[client] == nil else { return }
    clients[client] = Client(gate: ClientGate(rules: rules.client, now: now))
    clients[client]?.gate.enter(month: month)
  }

  private mutating func takeActions() -> [Action] {
    defer { actions = [] }
    return actions
  }

  // MARK: Requests

  private mutating func ask(_ key: TokenKey, _ waiter: Waiter, _ now: Instant) {
    let token = entries[key]?.token.flatMap { $0.isServable(at: now) ? $0 : nil }
    if let token, accepts(token, waiter.demand, now) {
      token.markUsed(at: now)
      lookups.hit += 1
      save(1, key)
      actions.append(.answer(waiter.id, .success(token)))
      return
    }
    if let error = remembered(key, now), !isStoreWorthAsking(key, now) {
      actions.append(.answer(waiter.id, answer(to: waiter, error, current: token, now: now)))
      return
    }
    let isStranger = entries[key]?.isStranger ?? true
    guard waiterCount < rules.maxWaiters, !isStranger || strangerWaiterCount < rules.maxWaiters / 2 else {
      actions.append(.answer(waiter.id, answer(to: waiter, .overloaded, current: token, now: now)))
      return
    }
    var waiter = waiter
    waiter.lookup = entries[key].map { $0.fetch == .none } ?? true ? \.miss : \.coalesced
    entries[key, default: Entry()].waiters.append(waiter)
    waiterCount += 1
    if isStranger { strangerWaiterCount += 1 }
    want(key, .demanded, now)
    if waiter.deadline < entries[key]?.lookAt ?? .distantFuture { schedule(key, at: waiter.deadline) }
  }

  /// Counts answers that cost no mint.
  private mutating func save(_ count: Int, _ key: TokenKey) {
    saved[key.client.name, default: 0] += count
    entries[key]?.hits += count
  }

  private func accepts(_ token: CachedToken, _ demand: Demand, _ now: Instant) -> Bool {
    if demand.accepts(token, minRefreshInterval: rules.minRefreshInterval, now: now) { return true }
    // At the reserve of a month's allotment nobody gets a token just to have a newer one.
    return clients[token.key.client]?.gate.isAtReserve == true
  }

  /// What is known to go wrong now; nil where asking is worth it, or under way.
  func remembered(_ key: TokenKey, _ now: Instant) -> TokenError? {
    if entries[key]?.fetch == .running { return nil }
    if let failure = entries[key]?.failure, now < failure.until { return failure.told(at: now) }
    return clients[key.client]?.gate.refusal(for: key, now: now)
  }

  /// Takes out the entry's waiters that `isLeaving` names.
  private mutating func release(_ key: TokenKey, where isLeaving: (Waiter) -> Bool = { _ in true }) -> [Waiter] {
    guard let waiters = entries[key]?.waiters else { return [] }
    let leaving = waiters.filter(isLeaving)
    if leaving.isEmpty { return [] }
    entries[key]?.waiters = waiters.filter { !isLeaving($0) }
    waiterCount -= leaving.count
    if entries[key]?.isStranger == true { strangerWaiterCount -= leaving.count }
    return leaving
  }

  /// A passing fault upstream is kept from a caller who wanted a newer token, as long as the current one will do.
  private mutating func answer(
    to waiter: Waiter, _ error: TokenError, current: CachedToken?, now: Instant
  ) -> Result<CachedToken, TokenError> {
    let isPlain = waiter.demand.isPlain
    guard isPlain || error.code.isPassing, let current, current.isServable(at: now),
      now.duration(to: current.minted.expiresAt) >= waiter.demand.minTTL
    else {
      lookups[keyPath: waiter.lookup] += 1
      return .failure(error)
    }
    lookups.stale += 1
    return .success(current)
  }

  // MARK: The store

  /// Others may have left a token there, or word of a failure. Who brings credentials of their own shares nothing.
  private func isStoreWorthAsking(_ key: TokenKey, _ now: Instant) -> Bool {
    guard hasStore, key.holder == nil else { return false }
    guard let entry = entries[key] else { return true }
    return entry.fetch == .none && entry.loadedAt.map { $0.duration(to: now) >= Self.storeMemory } ?? true
  }

  /// Gets a token for the key: from the store if there may be one, else from the tenant.
  private mutating func want(_ key: TokenKey, _ rank: FetchQueue.Rank, _ now: Instant) {
    guard isStoreWorthAsking(key, now) else { return enqueue(key, rank, now) }
    entries[key]?.fetch = .loading
    actions.append(.load(key))
  }

  /// Whoever waits and is not served by what the store has waits on, for the tenant, unless that is known to be in vain.
  private mutating func take(_ found: SharedFinding, for key: TokenKey, _ now: Instant) {
    guard let entry = entries[key] else { return }
    entries[key]?.fetch = .none
    entries[key]?.isOutdated = false
    entries[key]?.loadedAt = now
    var current = entry.token
    if let minted = found.token, minted.isNewer(than: entry.token?.minted) {
      let predecessor = entry.waiters.isEmpty ? entry.token : nil
      let token = CachedToken(key: key, minted: minted, rules: rules, inPlaceOf: predecessor, now: now)
      if token.isServable(at: now) {
        current = token
        if !entry.isOutdated { keep(token) }
      }
    } else if let error = found.failure {
      let isOfClient = clients[key.client]?.gate.told(error, key, now: now, random: &random) ?? false
      let isNews = entry.failure.map { $0.until < now.advanced(by: error.retryAfter ?? .zero) } ?? true
      if !isOfClient, isNews { remember(error, for: key, now) }
      entries[key]?.lastFailure = PastFailure(error, at: now)
    }
    if let current, current.isServable(at: now) {
      let served = release(key) { [rules] in
        $0.demand.accepts(current, minRefreshInterval: rules.minRefreshInterval, now: now)
      }
      save(served.count, key)
      for waiter in served {
        lookups[keyPath: waiter.lookup] += 1
        actions.append(.answer(waiter.id, .success(current)))
      }
    }
    if let error = remembered(key, now) {
      for waiter in release(key) {
        actions.append(.answer(waiter.id, answer(to: waiter, error, current: current, now: now)))
      }
    }
    if entries[key]?.waiters.isEmpty == false { enqueue(key, .demanded, now) }
    look(key, now)
  }

  private mutating func remember(_ error: TokenError, for key: TokenKey, _ now: Instant) {
    guard let entry = entries[key] else { return }
    let left = entry.token.map { now.duration(to: $0.servableUntil) }
    entries[key]?.failure = Failure(error, after: entry.failure, left: left, now: now, random: &random)
  }

  // MARK: Fetching

  private mutating func enqueue(_ key: TokenKey, _ rank: FetchQueue.Rank, _ now: Instant) {
    guard let fetch = entries[key]?.fetch, fetch == .none || fetch == .queued else { return }
    // What is queued for somebody stays so.
    if fetch == .queued, rank == .ahead || entries[key]?.waiters.count != 1 { return }
    entries[key]?.fetch = .queued
    let urgency = entries[key]?.token?.servableUntil ?? now
    clients[key.client]?.queue.insert(key, rank, urgency: urgency, isStranger: entries[key]?.isStranger ?? true)
  }

  /// Starts as many of the client's fetches as may go out now.
  private mutating func pump(_ client: ClientID, _ now: Instant) {
    // Taken out while it changes: a copy of the queue would be made otherwise.
    guard var state = clients.removeValue(forKey: client) else { return }
    var gate = state.gate
    while let key = state.queue.next({ gate.admit(isStranger: $0, now: now) }) {
      let isStranger = entries[key]?.isStranger == true
      entries[key]?.fetch = .running
      entries[key]?.isRunningAsStranger = isStranger
      entries[key]?.isRunningAsProbe = gate.isProbing
      actions.append(.fetch(key))
    }
    state.gate = gate
    state.wakeAt = state.queue.isEmpty ? .distantFuture : gate.nextChange(now: now) ?? .distantFuture
    clients[client] = state
  }

  private mutating func finish(_ key: TokenKey, _ result: Result<MintedToken, TokenError>, _ now: Instant) {
    guard let entry = entries[key] else { return }
    let isOfClient =
      clients[key.client]?.gate.finished(
        key, isStranger: entry.isRunningAsStranger, isProbe: entry.isRunningAsProbe, result, now: now, random: &random)
      ?? false
    if case .success(let minted) = result, minted.isFromStore {
      return take(SharedFinding(token: minted), for: key, now)
    }
    entries[key]?.fetch = .none
    entries[key]?.isOutdated = false
    let waiters = release(key)
    let outcome = result.flatMap { minted in
      let predecessor = waiters.isEmpty ? entry.token : nil
      let token = CachedToken(key: key, minted: minted, rules: rules, inPlaceOf: predecessor, now: now)
      return token.isServable(at: now) ? .success(token) : .failure(TokenError.expiredOnArrival)
    }
    switch outcome {
    case .success(let token):
      if !entry.isOutdated { keep(token) }
      save(max(0, waiters.count - 1), key)
      for waiter in waiters {
        lookups[keyPath: waiter.lookup] += 1
        actions.append(.answer(waiter.id, .success(token)))
      }
    case .failure(let error):
      if !isOfClient { remember(error, for: key, now) }
      entries[key]?.lastFailure = PastFailure(error, at: now)
      let told = remembered(key, now) ?? error
      for waiter in waiters {
        actions.append(.answer(waiter.id, answer(to: waiter, told, current: entry.token, now: now)))
      }
    }
    look(key, now)
    if clients[key.client]?.gate.isShut(now: now) == true { refuseWaiting(key.client, now) }
  }

  private mutating func keep(_ token: CachedToken) {
    entries[token.key]?.token = token
    entries[token.key]?.failure = nil
    entries[token.key]?.isStranger = false
    actions.append(.publish(token))
  }

  /// The client is shut out for a while: those who wait for their turn are told at once.
  private mutating func refuseWaiting(_ client: ClientID, _ now: Instant) {
    for key in clients[client]?.queue.keys ?? [] where entries[key]?.waiters.isEmpty == false {
      guard let error = remembered(key, now) else { continue }
      for waiter in release(key) {
        let answer = answer(to: waiter, error, current: entries[key]?.token, now: now)
        actions.append(.answer(waiter.id, answer))
      }
      clients[client]?.queue.remove(key)
      entries[key]?.fetch = .none
      look(key, now)
    }
  }

  // MARK: Time

  /// Does what is due for an entry, and settles when to look again.
  private mutating func look(_ key: TokenKey, _ now: Instant) {
    for waiter in release(key, where: { $0.deadline <= now }) {
      let current = entries[key]?.token
      actions.append(.answer(waiter.id, answer(to: waiter, .timedOut, current: current, now: now)))
    }
    if let token = entries[key]?.token, !token.isServable(at: now) {
      entries[key]?.token = nil
      actions.append(.withdraw(key))
    }
    if isRefreshDue(key, now) { want(key, .ahead, now) }
    abandonIfUnwanted(key)
    guard let entry = entries[key] else { return }
    if let next = nextLook(key, entry, now) { schedule(key, at: next) } else { entries[key] = nil }
  }

  private func isRefreshDue(_ key: TokenKey, _ now: Instant) -> Bool {
    guard let entry = entries[key], entry.fetch == .none else { return false }
    let isPrefetched = prefetched.contains(key)
    guard let token = entry.token else { return isPrefetched && now >= entry.failure?.until ?? now }
    return (token.isInUse || isPrefetched) && now >= nextRefresh(entry, token, now)
  }

  /// When the token is to be replaced, as failures, limits and a scarce quota allow.
  func nextRefresh(_ entry: Entry, _ token: CachedToken, _ now: Instant) -> Instant {
    var next = token.refreshAt
    if let failure = entry.failure { next = max(next, failure.until) }
    guard let gate = clients[token.key.client]?.gate else { return next }
    if token.servableUntil > gate.scarceUntil { next = max(next, gate.scarceUntil) }
    return next
  }

  /// Nobody waits any more for a token that was not yet asked for, and no token is to be replaced.
  private mutating func abandonIfUnwanted(_ key: TokenKey) {
    guard let entry = entries[key], entry.fetch == .queued, entry.waiters.isEmpty, entry.token == nil,
      !prefetched.contains(key)
    else { return }
    clients[key.client]?.queue.remove(key)
    entries[key]?.fetch = .none
  }

  /// nil: there is nothing left to remember.
  private func nextLook(_ key: TokenKey, _ entry: Entry, _ now: Instant) -> Instant? {
    var next = entry.waiters.map(\.deadline).min()
    func consider(_ instant: Instant) { next = min(next ?? instant, instant) }
    if let token = entry.token {
      consider(token.servableUntil)
      let refresh = nextRefresh(entry, token, now)
      if entry.fetch == .none, refresh > now { consider(refresh) }
    } else if let failure = entry.failure, prefetched.contains(key) {
      consider(entry.fetch == .none ? failure.until : .distantFuture)
    } else if let failure = entry.failure {
      consider(max(failure.until.advanced(by: Self.grudge), now.advanced(by: .seconds(1))))
      if now >= failure.until.advanced(by: Self.grudge), entry.fetch == .none, entry.waiters.isEmpty { return nil }
    } else if entry.fetch != .none {
      consider(.distantFuture)
    } else if let forgotten = entry.loadedAt?.advanced(by: Self.storeMemory), now < forgotten {
      consider(forgotten)
    }
    return next
  }

  private mutating func schedule(_ key: TokenKey, at instant: Instant) {
    if entries[key]?.lookAt == instant { return }
    entries[key]?.lookAt = instant
    if instant != .distantFuture { looks.insert(Look(at: instant, key: key)) }
    if looks.count > 2 * entries.count + 1024 {
      looks = Heap(looks.unordered.filter { entries[$0.key]?.lookAt == $0.at })
    }
  }

  /// Over the limit the sixteenth part goes: what holds no token first, the oldest failures, then the tokens used longest
  /// ago. One at a time would mean a search each time.
  private mutating func evict() {
    guard entries.count > rules.maxEntries else { return }
    let idle = entries.filter {
      $0.value.fetch == .none && $0.value.waiters.isEmpty && !prefetched.contains($0.key)
    }
    let oldest = idle.sorted { $0.value.worth < $1.value.worth }
    let excess = entries.count - rules.maxEntries
    for (key, entry) in oldest.prefix(max(excess, rules.maxEntries / 16)) {
      entries[key] = nil
      if entry.token != nil { actions.append(.withdraw(key)) }
    }
  }
}
