import Basics
import OAuth
import BrokerCore

/// The way to a token that others may have: what `SharedTokens` does, without its waiting.
extension Simulation {
  mutating func storeLatency() -> Double {
    let isSlow = store?.isSlow(now) == true
    return Double.random(in: isSlow ? 0.01...0.25 : 0.0002...0.002, using: &random)
  }

  mutating func load(_ key: TokenKey) {
    note("load \(key.audience)")
    plan(.storeLoaded(key, incarnation: replica.incarnation), in: storeLatency())
  }

  mutating func loaded(_ key: TokenKey) throws(Violation) {
    let found = try finding(key)
    try perform(replica.cache.loaded(key, found, now: now))
  }

  /// What the store has of the key, as far as it passes.
  mutating func finding(_ key: TokenKey) throws(Violation) -> SharedFinding {
    guard let store, !store.isDown(key, now) else { return SharedFinding() }
    var found = SharedFinding(
      token: store.token(key, now).flatMap { revalidated($0, key) }, failure: store.failure(key, now))
    if let held = store.held(key, now) { try check(held, key, &found) }
    // It counts more than what concerns the key alone.
    found.failure = store.limit(now) ?? found.failure
    return found
  }

  /// A key set answers within this time, in seconds.
  static var keyWait: Double { 0.41 }

  /// Whether what the store has for the key waits for the tenant's keys, which it does for two seconds at most.
  mutating func isReadingKeys(for key: TokenKey) throws(Violation) -> Bool {
    guard let store, !store.isDown(key, now) else { return false }
    var isUnknown = false
    for kept in [store.token(key, now), store.held(key, now)].compactMap(\.self) {
      let minted = now.advanced(by: .seconds(kept.token.mintedAt - Double(now.nanoseconds) / 1e9 - replica.wallOffset))
      let isKnown = kept.keyID.map { replica.keySet.current?.contains($0) == true } ?? false
      let isChecked = kept.token.isChecked
      if replica.keySet.wantsFetch(isChecked ? .shown(since: minted) : .issued(minted), isKnown: isKnown, now: now) {
        try fetchKeySet(isForIssued: !isChecked)
      }
      if !isKnown { isUnknown = true }
    }
    let waits = replica.keyWaits[key] ?? 0
    let isWaiting = isUnknown && replica.keySetBusy && Double(waits + 1) * Self.keyWait < 2
    replica.keyWaits[key] = isWaiting ? waits + 1 : nil
    return isWaiting
  }

  /// A token that another broker could not check. As long as this one cannot either, none is minted.
  private mutating func check(
    _ held: SimulatedStore.Kept, _ key: TokenKey, _ found: inout SharedFinding
  ) throws(Violation) {
    let wallNow = Double(now.nanoseconds) / 1e9 + replica.wallOffset
    let minted = MintedToken(held.token, keyID: held.keyID, expiry: nil, now: now, wallNow: wallNow)
    let isKnown = held.keyID.map { replica.keySet.current?.contains($0) == true } ?? false
    if isKnown {
      if let token = revalidated(held, key) { (found.token, found.failure) = (token, nil) }
      return
    }
    let need = FetchSchedule<Set<String>>.Need.issued(minted.mintedAt)
    if replica.keySet.wantsFetch(need, isKnown: false, now: now) { try fetchKeySet(isForIssued: true) }
    var wait = Duration.milliseconds(400)
    switch replica.keySet.step(need, isKnown: false, now: now) {
    case .settled:
      // By a wrong clock it was minted at another time.
      if fleet.hasTrueClocks { try checkKeyIsGone(held.keyID) }
      return
    case .wait(let instant): if !replica.keySetBusy { wait = now.duration(to: instant) }
    case .fetch: break
    }
    found.failure = TokenError(cause: .upstreamUnavailable, message: "no keys", retryAfter: wait)
  }

  /// As `TokenSource.revalidate` does it.
  private mutating func revalidated(_ kept: SimulatedStore.Kept, _ key: TokenKey) -> MintedToken? {
    let wallNow = Double(now.nanoseconds) / 1e9 + replica.wallOffset
    let name = kept.token.accessToken.value
    guard let known = truth[name], kept.token.mintedAt <= wallNow + 60 else { return nil }
    let exp = Double(known.expiresAt.nanoseconds) / 1e9
    let expiry = MintedToken.instant(of: exp, now: now, wallNow: wallNow)
    let minted = MintedToken(kept.token, keyID: kept.keyID, expiry: expiry, now: now, wallNow: wallNow)
    let isPublished = kept.keyID.map { replica.keySet.current?.contains($0) == true } ?? false
    if !isPublished, !replica.keySet.isFailing, replica.keySet.isRead(since: minted.mintedAt) { return nil }
    // Whose clock was set back cannot know better.
    if replica.wallOffset < 0 { truth[name]?.expiresAt = known.expiresAt.advanced(by: .seconds(-replica.wallOffset)) }
    guard exp > wallNow else { return nil }
    replica.source.held.release(key, askedBy: minted.mintedAt)
    replica.mustWait[key] = nil
    return minted
  }

  // MARK: Claims

  mutating func claim(_ key: TokenKey, turn: Int) throws(Violation) {
    guard var errand = replica.errands[key], errand.turn == turn else { return }
    errand.turn += 1
    errand.isWaiting = false
    let outcome = store?.claim(key, now)
    let found = try finding(key)
    let step = errand.fetch.step(outcome, found, now: now)
    replica.errands[key] = errand
    switch step {
    case .wait(let instant):
      replica.errands[key]?.isWaiting = true
      plan(.storeClaims(key, incarnation: replica.incarnation, turn: errand.turn), at: instant)
    case .finish(let result, let claim):
      replica.errands[key] = nil
      var job = errand.job
      job.claim = claim
      if claim != nil { plan(.storeSaved(job, nil), in: storeLatency()) }
      try finish(job, result)
    case .mint(let claim):
      errand.job.claim = claim
      replica.errands[key] = errand
      if let claim { plan(.storeRenews(claim, incarnation: replica.incarnation, key), in: 1) }
      try ask(errand.job)
    }
  }

  /// As long as the request is under way.
  mutating func renew(_ claim: StoreClaim, _ key: TokenKey) {
    guard replica.errands[key]?.job.claim?.fence == claim.fence else { return }
    store?.renew(claim, key, now)
    plan(.storeRenews(claim, incarnation: replica.incarnation, key), in: 1)
  }

  mutating func saved(_ job: Job, _ result: Result<MintedToken, TokenError>?) {
    let wallNow = Double(now.nanoseconds) / 1e9 + replica.wallOffset
    var kept: SimulatedStore.Kept?
    var failure: SharedFailure?
    switch result {
    case .success(let minted):
      kept = SimulatedStore.Kept(
        token: minted.kept(now: now, wallNow: wallNow), keyID: minted.keyID, until: minted.expiresAt)
    case .failure(let error): failure = SharedFailure(error)
    case nil: break
    }
    var held: SimulatedStore.Kept?
    if case .failure = result, let unchecked = replica.source.held.token(job.key, now: now) {
      let end = unchecked.asked.advanced(by: .seconds(unchecked.token.expiresIn))
      let stored = StoredToken(
        accessToken: AccessToken(unchecked.token.name), scope: nil,
        mintedAt: wallNow + now.duration(to: unchecked.asked) / .seconds(1),
        expiresAt: wallNow + now.duration(to: end) / .seconds(1), isChecked: false)
      held = SimulatedStore.Kept(token: stored, keyID: unchecked.token.kid, until: end)
    }
    guard store?.save(job.key, kept, failure, held: held, job.claim, now) == true else { return }
    if let failure, failure.reach == .client, store?.keepsLimits(now) == true {
      // The tenant means the time when it answers, and a slow answer is heard later.
      fleet.limitedUntil = max(fleet.limitedUntil ?? now, job.asked.advanced(by: failure.lifetime))
    }
    if store?.isDeaf(now) == false { wake(job.key) }
  }

  /// Tells the brokers that wait for the key.
  private mutating func wake(_ key: TokenKey) {
    for number in 0..<scenario.replicas {
      at(number) { simulation in
        guard let errand = simulation.replica.errands[key], errand.isWaiting else { return }
        let turn = errand.turn
        // A file tells of nothing, and is looked into every 20 ms.
        let look = simulation.store?.kind == .file ? Double.random(in: 0...0.02, using: &simulation.random) : 0
        let latency = simulation.storeLatency() + look
        simulation.plan(.storeClaims(key, incarnation: simulation.replica.incarnation, turn: turn), in: latency)
      }
    }
  }

  // MARK: What troubles cost

  /// Whether another broker has a token of this key that is not due yet, so that those that can tell each other would
  /// not ask for one.
  func isHeldElsewhere(_ key: TokenKey) -> Bool {
    guard store != nil, let newest = fleet.newest[key], let keyID = newest.minted.keyID else { return false }
    return now < newest.refreshAt && tenant.publishedKeys.contains(keyID)
  }

  /// A trouble of the store costs a key no more than that each broker mints for itself while it lasts; a broker that
  /// dies, what it has not left to others yet. A single broker may have had to make room.
  mutating func checkVain(_ key: TokenKey) throws(Violation) {
    guard let number = Int(key.audience), fleet.hasTrueClocks else { return }
    fleet.vain[key, default: 0] += 1
    // A token is not due before a fifth of its life.
    let shortest = scenario.lifetimes[number] / 5
    let rounds = fleet.storeTroubles.reduce(0) { $0 + 1 + Int($1 / .seconds(shortest)) }
    let most = rounds * max(1, scenario.replicas - 1) + fleet.restarts
    if fleet.vain[key, default: 0] > most {
      throw violation(
        "what goes wrong with a store costs few mints",
        "\(fleet.vain[key, default: 0]) of \(key.audience), \(most) at most")
    }
  }

  // MARK: Recovery

  /// Each broker connects again some time after a trouble of the store that began now.
  mutating func planRecovery(in lasting: Double) {
    for number in 0..<scenario.replicas {
      at(number) { simulation in
        let wait = lasting + Double.random(in: 0...2, using: &simulation.random)
        simulation.plan(.storeRecovers(incarnation: simulation.replica.incarnation), in: wait)
      }
    }
  }

  /// Gives the store back what it may have lost, as `SharedTokens.restore` does.
  mutating func restore() {
    guard let present = store else { return }
    countMints()
    let wallNow = Double(now.nanoseconds) / 1e9 + replica.wallOffset
    for token in replica.cache.tokens.sorted(by: { $0.key.audience < $1.key.audience })
    where !present.isDown(token.key, now) {
      let stored = token.minted.kept(now: now, wallNow: wallNow)
      fleet.restored(token, now)
      if let found = present.token(token.key, now)?.token,
        found.accessToken == stored.accessToken || found.mintedAt >= stored.mintedAt
      {
        continue
      }
      note("restore \(stored.accessToken.value)")
      let kept = SimulatedStore.Kept(token: stored, keyID: token.minted.keyID, until: token.minted.expiresAt)
      _ = store?.save(token.key, kept, nil, held: nil, nil, now)
    }
  }
}
