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
    try perform(replica.cache.loaded(key, finding(key), now: now))
  }

  /// What the store has of the key, as far as it passes.
  mutating func finding(_ key: TokenKey) -> SharedFinding {
    guard let store, !store.isDown(now) else { return SharedFinding() }
    return SharedFinding(token: store.token(key, now).flatMap { revalidated($0) }, failure: store.failure(key, now))
  }

  /// As `TokenSource.revalidate` does it.
  private mutating func revalidated(_ kept: SimulatedStore.Kept) -> MintedToken? {
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
    return exp > wallNow ? minted : nil
  }

  // MARK: Claims

  mutating func claim(_ key: TokenKey, turn: Int) throws(Violation) {
    guard var errand = replica.errands[key], errand.turn == turn else { return }
    errand.turn += 1
    errand.isWaiting = false
    let outcome = store?.claim(key, now)
    let found = finding(key)
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
    guard store?.save(job.key, kept, failure, job.claim, now) == true else { return }
    if let failure, failure.reach == .client, store?.forgets(now) == false {
      fleet.limitedUntil = max(fleet.limitedUntil ?? now, now.advanced(by: failure.lifetime))
    }
    if store?.isDeaf(now) == false { wake(job.key) }
  }

  /// Tells the brokers that wait for the key.
  private mutating func wake(_ key: TokenKey) {
    for number in 0..<scenario.replicas {
      at(number) { simulation in
        guard let errand = simulation.replica.errands[key], errand.isWaiting else { return }
        let turn = errand.turn
        let latency = simulation.storeLatency()
        simulation.plan(.storeClaims(key, incarnation: simulation.replica.incarnation, turn: turn), in: latency)
      }
    }
  }
}
