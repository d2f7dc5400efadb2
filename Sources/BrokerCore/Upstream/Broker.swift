package import Basics
package import Logging
package import OAuth

/// Carries out what `TokenCache` decides: fetches, answers waiting callers, and publishes each new token.
package actor Broker {
  package enum Publication: Sendable {
    case current(CachedToken)
    case withdrawn(TokenKey)
  }

  /// Asks upstream and validates; returns or throws by the deadline.
  package typealias Mint =
    @Sendable (TokenKey, PassThroughCredentials?, TraceContext?, _ deadline: Instant) async throws(TokenError) ->
    MintedToken

  struct Waiting {
    let key: TokenKey
    let continuation: CheckedContinuation<Result<CachedToken, TokenError>, Never>
  }

  /// Who asked first for what is to be fetched.
  private struct Cause {
    let waiter: TokenCache.WaiterID
    let request: RequestIdentity
  }

  private var cache: TokenCache
  private var requestTimeout: Duration
  private let mint: Mint
  /// nil: nothing is kept beyond this process.
  private let shared: SharedTokens?
  private let publish: @Sendable (Publication) -> Void
  private let health: Health
  private let log: Logger
  private(set) var waiting: [TokenCache.WaiterID: Waiting] = [:]
  private var lastWaiter: TokenCache.WaiterID = 0
  /// Those that were brought along, for as long as there is a token to be replaced in time, or one is being asked for.
  private var credentials: [TokenKey: PassThroughCredentials] = [:]
  /// Until the fetch begins, or the request is answered without one.
  private var causes: [TokenKey: Cause] = [:]
  private var failures = FailureLog()
  private var clients: [String: BrokerFigures.Client] = [:]
  /// Those that are no longer configured; how their last requests end says nothing of the broker.
  private var retired: Set<UpstreamID> = []
  /// Sleeps until the cache has something to do.
  private var alarm: (at: Instant, task: Task<Void, Never>)?

  /// - Parameters:
  ///   - requestTimeout: how long a caller waits for a token at the most.
  ///   - publish: called with each new token before its waiters are answered.
  package init(
    rules: TokenCache.Rules = .init(), requestTimeout: Duration, health: Health, log: Logger,
    shared: SharedTokens? = nil,
    publish: @escaping @Sendable (Publication) -> Void = { _ in }, mint: @escaping Mint
  ) {
    cache = TokenCache(rules: rules, hasStore: shared != nil)
    self.shared = shared
    self.requestTimeout = requestTimeout
    self.health = health
    self.log = log
    self.publish = publish
    self.mint = mint
  }

  /// The current token for `key`, or a new one if none is held that will do. A caller that gives up disturbs nobody.
  /// `brought` are the credentials of a key that has a holder. A fetch that comes of it is said to be because of `request`.
  package func token(
    _ key: TokenKey, _ demand: Demand = Demand(), with brought: PassThroughCredentials? = nil,
    for request: RequestIdentity? = nil
  ) async throws(TokenError) -> CachedToken {
    if let brought { credentials[key] = brought }
    lastWaiter += 1
    let id = lastWaiter
    let now = Instant.now
    if let request, causes[key] == nil { causes[key] = Cause(waiter: id, request: request) }
    let result = await withCheckedContinuation { continuation in
      waiting[id] = Waiting(key: key, continuation: continuation)
      perform(cache.request(key, demand, waiter: id, deadline: now.advanced(by: requestTimeout), now: now))
    }
    drop(credentialsOf: key)
    return try result.get()
  }

  package var figures: BrokerFigures {
    var figures = BrokerFigures()
    figures.lookups = cache.lookups
    figures.clients = clients
    for (name, saved) in cache.saved { figures.clients[name, default: .init()].saved = saved }
    figures.store = shared?.figures
    figures.tokens = cache.tokens.map { .init(key: $0.key, expiresAt: $0.minted.expiresAt) }
    return figures
  }

  /// The same, and all that is known of each key and client, for people.
  package var status: BrokerStatus {
    cache.enter(month: WallClock.month)
    let now = Instant.now
    return BrokerStatus(figures: figures, keys: cache.keyStatuses(now: now), clients: cache.clientStatuses(now: now))
  }

  /// A token is used though it is due to be replaced.
  package func used(_ key: TokenKey) { perform(cache.used(key, now: .now)) }

  /// The tenant publishes exactly these keys, as of `asked`.
  package func keySetChanged(_ keyIDs: Set<String>, client: UpstreamID, asked: Instant) {
    perform(cache.keySetChanged(keyIDs, client: client, asked: asked, now: .now))
  }

  /// Whether tokens of `clients` are held that are signed with keys which the tenant publishes.
  package func holdsSignedTokens(of clients: [UpstreamID]) -> Bool { cache.holdsSignedTokens(of: Set(clients)) }

  /// The client has other credentials now, so what was said of the old ones counts no more.
  package func credentialsChanged(client: UpstreamID) {
    if !retired.contains(client) { health.accepted(client: client.name) }
    perform(cache.credentialsChanged(client: client, now: .now))
  }

  /// Takes over another configuration. `announce` tells those who hand tokens out, who are then told of all that are held.
  package func configure(
    rules: TokenCache.Rules, requestTimeout: Duration, prefetched: Set<TokenKey>, forgetting forgotten: Set<UpstreamID>,
    announce: @Sendable () -> Void
  ) {
    self.requestTimeout = requestTimeout
    retired.formUnion(forgotten)
    for client in forgotten { clients[client.name]?.quota = [:] }
    health.acceptedAll()
    let actions = cache.configure(rules, prefetched: prefetched, forgetting: forgotten, now: .now)
    announce()
    for token in cache.tokens { publish(.current(token)) }
    perform(actions)
  }

  /// Gives the store back what it may have lost, each time it is within reach again, until the task is cancelled.
  package func tendStore() async {
    guard let shared else { return }
    for await _ in shared.store.recoveries { await shared.restore(cache.tokens) }
  }

  private func perform(_ actions: [TokenCache.Action]) {
    for action in actions {
      switch action {
      case .load(let key): load(key)
      case .fetch(let key): fetch(key)
      case .answer(let waiter, let result): answer(waiter, result)
      case .publish(let token): publish(.current(token))
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
    waiting.continuation.resume(returning: result)
  }

  private func load(_ key: TokenKey) {
    Task {
      let found = await shared?.load(key) ?? SharedFinding()
      if let token = found.token, token.isNewer(than: cache.token(key)?.minted) { takenOver(token, key) }
      perform(cache.loaded(key, found, now: .now))
    }
  }

  private func fetch(_ key: TokenKey) {
    let deadline = Instant.now.advanced(by: requestTimeout)
    let (holding, minRemaining) = (cache.token(key)?.minted, cache.rules.minRemaining)
    // The request to the tenant is a span of its own. One that nobody has asked for, to replace a token in time, has no trace.
    let cause = causes.removeValue(forKey: key).map {
      RequestIdentity(id: $0.request.id, trace: $0.request.trace?.child())
    }
    Task {
      let result: Result<MintedToken, TokenError>
      do throws(TokenError) {
        let minted =
          if let shared {
            try await shared.fetch(
              key, holding: holding, minRemaining: minRemaining, deadline: deadline
            ) { () async throws(TokenError) in try await self.ask(for: key, because: cause, by: deadline) }
          } else {
            try await ask(for: key, because: cause, by: deadline)
          }
        if minted.isFromStore { takenOver(minted, key) }
        result = .success(minted)
      } catch {
        result = .failure(error)
      }
      cache.enter(month: WallClock.month)
      perform(cache.fetched(key, result, now: .now))
      drop(credentialsOf: key)
    }
  }

  /// Asks the tenant, and takes note of how that went.
  private func ask(
    for key: TokenKey, because cause: RequestIdentity?, by deadline: Instant
  ) async throws(TokenError) -> MintedToken {
    let started = Instant.now
    do throws(TokenError) {
      let minted = try await mint(key, credentials[key], cause?.trace, deadline)
      report(.success(minted), for: key, because: cause, took: started.duration(to: .now))
      return minted
    } catch {
      report(.failure(error), for: key, because: cause, took: started.duration(to: .now))
      throw error
    }
  }

  private func takenOver(_ token: MintedToken, _ key: TokenKey) {
    log.info("token taken over from the store", metadata: facts(of: key).merging(facts(of: token)) { $1 })
  }

  private func drop(credentialsOf key: TokenKey) {
    if key.holder != nil, !cache.isConcerned(with: key) { credentials[key] = nil }
  }

  private func report(
    _ result: Result<MintedToken, TokenError>, for key: TokenKey, because cause: RequestIdentity?, took: Duration
  ) {
    var facts = facts(of: key)
    facts["duration_ms"] = "\(took.milliseconds)"
    for fact in cause?.facts ?? [] { facts[fact.name] = "\(fact.value)" }
    count(result, for: key.client, took: took)
    let isOwn = key.holder == nil && !retired.contains(key.client)
    switch result {
    case .success(let minted):
      if isOwn { health.accepted(client: key.client.name) }
      if let over = failures.succeeded(key, now: .now) {
        let past: Logger.Metadata = ["failures": "\(over.failures)", "seconds": "\(over.lasted.components.seconds)"]
        log.info("tokens again", metadata: self.facts(of: key).merging(past) { $1 })
      }
      facts.merge(self.facts(of: minted)) { $1 }
      facts["upstream_request_id"] = minted.upstreamRequestID.map { "\($0)" }
      log.info("token minted", metadata: facts)
    case .failure(let error):
      if error.cause == .brokerMisconfigured, isOwn {
        health.refused(client: key.client.name, reason: error.message, now: .now)
      }
      guard let leftOut = failures.failed(key, error.cause, now: .now) else { return }
      if leftOut > 0 { facts["repeats"] = "\(leftOut)" }
      facts["error"] = "\(error.cause.rawValue)"
      facts["reason"] = "\(error.message)"
      facts["upstream_status"] = error.upstreamStatus.map { "\($0)" }
      facts["upstream_request_id"] = error.upstreamRequestID.map { "\($0)" }
      log.warning("no token", metadata: facts)
    }
  }

  private func facts(of key: TokenKey) -> Logger.Metadata {
    var facts: Logger.Metadata = ["client": "\(key.client.name)", "audience": "\(key.grant.audience)"]
    if let scope = key.grant.scope { facts["scope"] = "\(scope)" }
    if let organization = key.grant.organization { facts["organization"] = "\(organization)" }
    return facts
  }

  private func facts(of token: MintedToken) -> Logger.Metadata {
    var facts: Logger.Metadata = ["expires_in": "\(Instant.now.duration(to: token.expiresAt).components.seconds)"]
    facts["key_id"] = token.keyID.map { "\($0)" }
    return facts
  }

  private func count(_ result: Result<MintedToken, TokenError>, for client: UpstreamID, took: Duration) {
    var figures = clients[client.name] ?? BrokerFigures.Client()
    figures.durations.add(took)
    switch result {
    case .success(let minted):
      figures.outcomes["ok", default: 0] += 1
      figures.minted += 1
      figures.lastMint = .now
      for bucket in minted.quota where !bucket.isOfOrganization && !retired.contains(client) {
        figures.quota[bucket.name] = .init(
          limit: bucket.quota, remaining: bucket.remaining, resetsAt: minted.mintedAt.advanced(by: bucket.resetsIn))
      }
    case .failure(let error):
      figures.outcomes[error.cause.rawValue, default: 0] += 1
      figures.lastFailure = PastFailure(error, at: .now)
    }
    clients[client.name] = figures
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
      perform(cache.advance(now: .now))
    }
    alarm = (next, task)
  }
}
