import Basics
package import Logging
package import OAuth

/// Carries out what `TokenCache` decides: fetches, answers waiting callers, and publishes each new token.
package actor Broker {
  /// The tenants' keys are looked at this often. A set is fresh for five minutes, so that none grows older than ten.
  private static let pollInterval = Duration.seconds(300)

  /// What a store is seen to have lost sooner after it was given all is given back one by one.
  private static let restoreInterval = Duration.seconds(60)

  package nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe TokenSource.executor.asUnownedSerialExecutor()
  }

  package enum Publication: Sendable {
    case current(CachedToken)
    case withdrawn(TokenKey)
  }

  struct Waiting {
    let key: TokenKey
    let continuation: CheckedContinuation<Result<CachedToken, TokenError>, Never>
  }

  /// Who asked first for what is to be fetched.
  private struct Cause {
    let waiter: TokenCache.WaiterID
    let request: RequestIdentity
  }

  var cache: TokenCache
  private var requestTimeout: Duration
  private let minter: any TokenMinter
  /// nil if nothing is kept beyond this process.
  let shared: SharedTokens?
  private let publish: @Sendable (Publication) -> Void
  let health: Health
  let log: Logger
  private(set) var waiting: [TokenCache.WaiterID: Waiting] = [:]
  private var lastWaiter: TokenCache.WaiterID = 0
  /// Those that callers brought along, for as long as there is a token to be replaced in time, or one is being asked
  /// for.
  private var credentials: [TokenKey: PassThroughCredentials] = [:]
  /// Until the fetch begins, or the request is answered without one.
  private var causes: [TokenKey: Cause] = [:]
  /// Those that an operator wants to be tried whatever others of the fleet were refused with.
  private var retried: Set<TokenKey> = []
  var failures = FailureLog()
  var budgets = BudgetLog()
  /// What the others of a fleet are being told of clients' mints.
  var mintReports: [UpstreamID: Task<Void, Never>] = [:]
  /// What was asked of the tenants, by client.
  var counts: [String: BrokerFigures.Client] = [:]
  /// The clients that are no longer configured; how their last requests end says nothing of the broker.
  private(set) var retired: Set<UpstreamID> = []
  /// By how much the wall clock is ahead of monotonic time, as seen last.
  private var clockOffset = WallClock.offset
  /// Where among the tokens that are held the store is asked next for what it has lost, and when it was given all.
  private var nextLook = 0
  private var restoredAt: Instant?
  /// Sleeps until the cache has something to do.
  private var alarm: (at: Instant, task: Task<Void, Never>)?

  /// - Parameters:
  ///   - requestTimeout: how long a caller waits for a token at the most.
  ///   - publish: called with each new token before its waiters are answered.
  package init(
    rules: TokenCache.Rules = .init(), requestTimeout: Duration, minter: any TokenMinter, shared: SharedTokens? = nil,
    health: Health, log: Logger, publish: @escaping @Sendable (Publication) -> Void = { _ in }
  ) {
    cache = TokenCache(rules: rules, hasStore: shared != nil)
    self.shared = shared
    self.requestTimeout = requestTimeout
    self.health = health
    self.log = log
    self.publish = publish
    self.minter = minter
  }

  /// The current token for `key`, or a new one if none is held that will do. A caller that gives up disturbs nobody.
  /// `brought` are the credentials of a key that has a holder. A fetch that it causes is logged as caused by `request`,
  /// and paid by `payer` if the tenant refuses a key that has never yielded a token.
  package func token(
    _ key: TokenKey, _ demand: Demand = Demand(), with brought: PassThroughCredentials? = nil,
    for request: RequestIdentity? = nil, payer: Payer? = nil
  ) async throws(TokenError) -> CachedToken {
    if let brought { credentials[key] = brought }
    lastWaiter += 1
    let id = lastWaiter
    noticeClock()
    let now = Instant.now
    if let request, causes[key] == nil { causes[key] = Cause(waiter: id, request: request) }
    let result = await withCheckedContinuation { continuation in
      waiting[id] = Waiting(key: key, continuation: continuation)
      let deadline = now.advanced(by: requestTimeout)
      perform(cache.request(key, demand, waiter: id, payer: payer, deadline: deadline, now: now))
    }
    drop(credentialsOf: key)
    return try result.get()
  }

  package var figures: BrokerFigures {
    cache.enter(month: WallClock.month)
    var figures = BrokerFigures()
    figures.lookups = cache.lookups
    figures.clients = counts
    for (name, saved) in cache.saved { figures.clients[name, default: .init()].saved = saved }
    figures.store = shared?.figures
    figures.budgets = cache.budgets(without: retired)
    figures.tokens = cache.tokens.map { .init(key: $0.key, expiresAt: $0.minted.expiresAt) }
    return figures
  }

  /// The same, and all that is known of each key and client, for people. Figures come first: they enter the month.
  package var status: BrokerStatus {
    let now = Instant.now
    return BrokerStatus(figures: figures, keys: cache.keyStatuses(now: now), clients: cache.clientStatuses(now: now))
  }

  /// A token is used though it is due to be replaced.
  package func used(_ key: TokenKey) { perform(cache.used(key, now: .now)) }

  /// Throws away the tokens whose keys `isMeant` picks, and what is remembered of failures, here and in the store.
  /// `listed` are keys that the store may have a token for though nothing is known of them here.
  package func purge(listed: [TokenKey], _ isMeant: @Sendable (TokenKey) -> Bool) async -> Purge {
    let kept = cache.freshCount(now: .now, isMeant)
    let known = cache.purgeable(now: .now, isMeant)
    for key in known { minter.forget(key) }
    // The store first: else a token could come back from there before it is gone.
    let unknown = listed.filter { !cache.knows($0) }
    let stored = Set(known + unknown).map { ($0, holding: cache.newest($0)) }
    let isStoreCleared = await shared?.remove(stored, younger: cache.rules.minRefreshInterval)
    // With those that became known meanwhile: they may have what the store has just lost.
    let meant = Set(known).union(cache.purgeable(now: .now, isMeant))
    for key in meant.subtracting(known) { minter.forget(key) }
    var (purge, actions) = cache.purge(Array(meant), now: .now)
    perform(actions)
    (purge.kept, purge.isStoreCleared) = (kept, isStoreCleared)
    return purge
  }

  /// Asks the tenant again for a key that has failed, at once: somebody has mended what was wrong.
  package func retry(_ key: TokenKey, for request: RequestIdentity) async -> Retry {
    guard cache.hasFailed(key) else { return .unneeded }
    let before = cache.token(key)?.minted.mintedAt
    retried.insert(key)
    defer { retried.remove(key) }
    perform(cache.retry(key, now: .now))
    do throws(TokenError) {
      let token = try await token(key, Demand(freshness: .new), for: request)
      // A token that is held is given out even where no other is to be had.
      guard token.minted.mintedAt == before, let failure = cache.failure(of: key) else { return .minted }
      return .failed(failure)
    } catch {
      return .failed(error)
    }
  }

  /// Takes over another configuration. `announce` tells those who hand tokens out, who are then told of all that are
  /// held.
  package func configure(
    rules: TokenCache.Rules, requestTimeout: Duration, prefetched: Set<TokenKey>, forgetting forgotten: Set<UpstreamID>,
    announce: @Sendable () -> Void
  ) {
    self.requestTimeout = requestTimeout
    retired.formUnion(forgotten)
    for client in forgotten { counts[client.name]?.quota = [:] }
    health.forgetFailures()
    let actions = cache.configure(rules, prefetched: prefetched, forgetting: forgotten, now: .now)
    health.lacks(prefetched.filter { cache.token($0) == nil })
    announce()
    for token in cache.tokens { publish(.current(token)) }
    perform(actions)
  }

  // MARK: What nobody asks for

  /// Has the tenants' keys looked at from time to time, and takes note of what changes there, until the task is
  /// cancelled. Tenants do not tell that a key was revoked, so they are asked.
  package func tendUpstreams() async {
    await withTaskGroup { group in
      group.addTask { [minter] in for await event in minter.events { await self.handle(event) } }
      group.addTask {
        // Nothing tells of a revoked key, so there is only the time to wait for.
        while (try? await Task.sleep(for: Self.pollInterval)) != nil { await self.pollKeySets() }
      }
    }
  }

  func handle(_ event: UpstreamEvent) {
    switch event {
    case .keySetRead(let set, let clients):
      for client in clients { perform(cache.keySetChanged(set.keyIDs, client: client, asked: set.asked, now: .now)) }
    case .credentialsChanged(let client):
      // What was said of the old ones counts no more.
      health.forgetFailures(of: client.name)
      perform(cache.credentialsChanged(client: client, now: .now))
    }
  }

  /// Has what was refused by a wrong clock forgotten once that is set.
  private func noticeClock() {
    let offset = WallClock.offset
    defer { clockOffset = offset }
    if abs(offset - clockOffset) > 2 { perform(cache.clockStepped(now: .now)) }
  }

  func pollKeySets() async { await minter.pollKeySets(holders: cache.clientsWithSignedTokens) }

  /// Gives the store back what it may have lost, each time it is within reach again, and what it is seen to have lost,
  /// until the task is cancelled.
  package func tendStore() async {
    guard let shared else { return }
    await withTaskGroup { group in
      group.addTask { for await _ in shared.store.recoveries { await self.restoreAll() } }
      group.addTask {
        // A store does not tell of what it drops, so there is only the time to wait for.
        while (try? await Task.sleep(for: SharedTokens.lookInterval)) != nil { await self.lookForLosses() }
      }
    }
  }

  private func restoreAll() async { await shared?.restore(cache.tokens) }

  /// Looks whether the store has the next few of the tokens that are held, and gives it back all of them where it lacks
  /// one.
  func lookForLosses() async {
    guard let shared, shared.canLook else { return }
    let tokens = cache.tokens(SharedTokens.batch, from: &nextLook)
    if tokens.isEmpty { return }
    let missing = await shared.missing(of: tokens)
    if missing.isEmpty { return }
    // A store that is full, and drops something else for all that it is given, must not be given all of it on and on.
    let isSoon = restoredAt.map { $0.duration(to: .now) < Self.restoreInterval } ?? false
    if !isSoon { restoredAt = .now }
    await shared.restore(isSoon ? tokens : cache.tokens)
  }

  private func perform(_ actions: [TokenCache.Action]) {
    for action in actions {
      switch action {
      case .load(let key): load(key)
      case .fetch(let key): fetch(key)
      case .answer(let waiter, let result): answer(waiter, result)
      case .publish(let token):
        health.holds(token.key)
        publish(.current(token))
      case .withdraw(let key):
        drop(credentialsOf: key)
        publish(.withdrawn(key))
      }
    }
    setAlarm()
  }

  private func answer(_ waiter: TokenCache.WaiterID, _ result: Result<CachedToken, TokenError>) {
    guard let waiting = waiting.removeValue(forKey: waiter) else { return }
    if causes[waiting.key]?.waiter == waiter { causes[waiting.key] = nil }
    if case .failure(let error) = result, error.cause == .allowanceUsedUp {
      counts[waiting.key.client.name, default: .init()].unpaid += 1
    }
    waiting.continuation.resume(returning: result)
  }

  private func load(_ key: TokenKey) {
    Task {
      let found = await shared?.load(key) ?? SharedFinding()
      if let token = found.token, token.isNewer(than: cache.newest(key)) { logTakenOver(token, key) }
      perform(cache.loaded(key, found, now: .now))
    }
  }

  private func fetch(_ key: TokenKey) {
    // The request to the tenant is a span of its own. One that nobody has asked for, to replace a token in time, has no
    // trace.
    let asker = causes.removeValue(forKey: key)
    let cause = asker.map { RequestIdentity(id: $0.request.id, trace: $0.request.trace?.child()) }
    let (holding, isRetried) = (cache.newest(key), retried.contains(key))
    let deadline = Instant.now.advanced(by: requestTimeout)
    // All that is waited for stays on this actor's thread, also where it is nobody's.
    Task(executorPreference: TokenSource.executor) {
      let result: Result<MintedToken, TokenError>
      do throws(TokenError) {
        result = .success(
          try await self.token(
            for: key, holding: holding, isRetried: isRetried, because: cause, by: deadline))
      } catch {
        result = .failure(error)
      }
      await self.fetched(key, result, for: asker)
    }
  }

  /// What the store has, or else the tenant gives.
  private func token(
    for key: TokenKey, holding: MintedToken?, isRetried: Bool, because cause: RequestIdentity?, by deadline: Instant
  ) async throws(TokenError) -> MintedToken {
    guard let shared else { return try await mint(key, because: cause, by: deadline) }
    return try await shared.fetch(
      key, holding: holding, minRemaining: cache.rules.minRemaining, isRetried: isRetried, deadline: deadline
    ) { () async throws(TokenError) in try await self.mint(key, because: cause, by: deadline) }
  }

  private func fetched(_ key: TokenKey, _ result: Result<MintedToken, TokenError>, for asker: Cause?) {
    if case .success(let minted) = result, minted.isFromStore {
      logTakenOver(minted, key)
      // Whoever wants another one still causes that.
      if let asker, waiting[asker.waiter] != nil { causes[key] = asker }
    }
    cache.enter(month: WallClock.month)
    perform(cache.fetched(key, result, now: .now))
    reportBudget(of: key.client, cache.budget(of: key.client))
    if cache.isCountOutdated(of: key.client) { shareMints(of: key.client) }
    drop(credentialsOf: key)
  }

  /// Asks the tenant, and takes note of how that went.
  private func mint(
    _ key: TokenKey, because cause: RequestIdentity?, by deadline: Instant
  ) async throws(TokenError) -> MintedToken {
    let started = Instant.now
    do throws(TokenError) {
      let minted = try await minter.mint(key, as: credentials[key], in: cause?.trace, deadline: deadline)
      report(.success(minted), for: key, because: cause, took: started.duration(to: .now))
      return minted
    } catch {
      report(.failure(error), for: key, because: cause, took: started.duration(to: .now))
      throw error
    }
  }

  private func drop(credentialsOf key: TokenKey) {
    if key.holder != nil, !cache.isConcerned(with: key) { credentials[key] = nil }
  }

  /// One task sleeps, until the next event. Where that comes to be later, the task finds nothing to do, once.
  private func setAlarm() {
    guard let next = cache.nextEvent else { return }
    if let alarm, alarm.at <= next { return }
    alarm?.task.cancel()
    let task = Task {
      // The cache knows no clock: somebody must come back at its time. Cancelled, another task does.
      guard (try? await Task.sleep(until: next)) != nil else { return }
      alarm = nil
      noticeClock()
      perform(cache.advance(now: .now))
    }
    alarm = (next, task)
  }
}
