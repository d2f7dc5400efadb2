import Basics
package import Logging
import OAuth
import Synchronization

/// The tokens of a fleet: reads and writes a store for a broker. Nothing of a store is believed that does not open and
/// pass the checks of a new token. Where the store fails the broker goes on as if it had none.
package final class SharedTokens: Sendable {
  package let store: any Store
  let minter: any TokenMinter
  let log: Logger
  private let counts: Mutex<StoreFigures>
  /// The saves under way: nobody waits for them, but for the end of the process.
  private let saves = Mutex<[UInt64: Task<Void, Never>]>([:])

  /// A key set that cannot be read must not hold up those who wait for a token.
  private static let revalidationTimeout = Duration.seconds(2)

  /// `minter` knows what values are sealed with, and checks the tokens.
  package init(_ store: any Store, minter: any TokenMinter, log: Logger) {
    self.store = store
    self.minter = minter
    self.log = log
    counts = Mutex(StoreFigures(store.condition))
  }

  package var figures: StoreFigures {
    var figures = counts.withLock(\.self)
    figures.condition = store.condition
    return figures
  }

  // MARK: Reading

  /// What is known of `key` beyond this process.
  func load(_ key: TokenKey) async -> SharedFinding {
    guard let slots = slots(for: key) else { return SharedFinding() }
    return await load(slots)
  }

  private func load(_ slots: StoreSlots) async -> SharedFinding {
    do throws(StoreError) {
      let values = try await counted(.load) { () async throws(StoreError) in try await store.load(slots.names) }
      return await open(values, of: slots)
    } catch {
      return SharedFinding()
    }
  }

  /// A token for `key` that takes the place of `holding`: made by `mint` under a claim, or taken over from the broker
  /// that had the claim. It is made without one if the store cannot be used. Where it `isRetried`, a limit is all that
  /// is believed of what others were refused with.
  func fetch(
    _ key: TokenKey, holding: MintedToken?, minRemaining: Duration, isRetried: Bool = false, deadline: Instant,
    mint: @Sendable () async throws(TokenError) -> MintedToken
  ) async throws(TokenError) -> MintedToken {
    guard let slots = slots(for: key) else { return try await mint() }
    var fetch = SharedFetch(holding: holding, minRemaining: minRemaining, deadline: deadline)
    while true {
      var outcome: StoreAnswer.Outcome?
      var found = SharedFinding()
      do throws(StoreError) {
        if store.isClaimable(slots.tokenName) {
          let answer = try await counted(.claim) { () async throws(StoreError) in
            try await store.claim(slots.tokenName, for: SharedFetch.lease, loading: slots.names)
          }
          outcome = answer.outcome
          found = await open(answer.values, of: slots)
        } else {
          found = await load(slots)
        }
        if isRetried, found.failure?.cause != .upstreamRateLimited { found.failure = nil }
      } catch {}
      switch fetch.step(outcome, found, now: .now) {
      case .wait(let instant): await store.waitForChange(of: slots.tokenName, until: instant)
      case .finish(let result, let claim):
        if let claim { settle(slots, claim, with: nil) }
        return try result.get()
      case .mint(let claim):
        let result = await renewing(claim) {
          do throws(TokenError) { return .success(try await mint()) } catch { return Result.failure(error) }
        }
        settle(slots, claim, with: result, held: minter.held(key))
        return try result.get()
      }
    }
  }

  private func renewing(
    _ claim: StoreClaim?, _ body: () async -> Result<MintedToken, TokenError>
  ) async -> Result<MintedToken, TokenError> {
    guard let claim else { return await body() }
    let renewals = Task { [store] in
      // A lease runs by time, and so does its renewal, until the mint is over and cancels it.
      while (try? await Task.sleep(for: SharedFetch.renewal)) != nil {
        _ = try? await store.renew(claim, for: SharedFetch.lease)
      }
    }
    defer { renewals.cancel() }
    return await body()
  }

  // MARK: Writing

  /// Leaves what came of a fetch. Who waits for the token here does not wait for this.
  private func settle(
    _ slots: StoreSlots, _ claim: StoreClaim?, with result: Result<MintedToken, TokenError>?, held: StoredToken? = nil
  ) {
    let entry = result.flatMap { slots.entry(for: $0, held: held, now: .now, wallNow: WallClock.now) }
    if claim == nil, entry == nil { return }
    let id = UInt64.random(in: .min ... .max)
    saves.withLock { saves in
      saves[id] = Task { [self] in
        try? await counted(.save) { () async throws(StoreError) in
          try await store.save(entry.map { [$0] } ?? [], settling: claim)
        }
        _ = self.saves.withLock { $0.removeValue(forKey: id) }
      }
    }
  }

  /// Returns when what was to be saved is where it shall be, or cannot get there.
  package func close() async {
    while let save = saves.withLock({ $0.values.first }) { await save.value }
    await store.close()
  }

  /// Takes out what there is about these keys, but for a token that is newer than the one held here and younger than
  /// `age`: another broker has just got it. False if the store cannot do it; nil if it is not asked.
  func remove(_ keys: [(TokenKey, holding: MintedToken?)], younger age: Duration) async -> Bool? {
    let shared = keys.compactMap { key, minted in slots(for: key).map { (slots: $0, minted: minted) } }
    if shared.isEmpty { return nil }
    do throws(StoreError) {
      for start in stride(from: 0, to: shared.count, by: Self.batch) {
        let some = shared[start..<min(start + Self.batch, shared.count)]
        let values = try await counted(.load) { () async throws(StoreError) in
          try await store.load(some.map(\.slots.tokenName))
        }
        let old = zip(some, values).filter { found, value in
          found.minted.map { !found.slots.isToken(value, newerThan: $0, younger: age) } ?? true
        }
        if old.isEmpty { continue }
        // First: whoever finds a token missing gives back the one that it holds.
        let marks = old.compactMap { found, value in found.slots.purgeMark(over: found.minted, value) }
        var failure: StoreError?
        do throws(StoreError) {
          try await counted(.save) { () async throws(StoreError) in try await store.save(marks, settling: nil) }
        } catch {
          failure = error
        }
        let marked = failure == nil ? Set(marks.map(\.name)) : []
        let names = old.flatMap(\.0.slots.ownNames).filter { !marked.contains($0) }
        try await counted(.remove) { () async throws(StoreError) in try await store.remove(names) }
        if let failure { throw failure }
      }
      return true
    } catch {
      return false
    }
  }

  // MARK: What is found

  /// nil for a key whose tokens are not shared.
  func slots(for key: TokenKey) -> StoreSlots? {
    // Whoever brings credentials of their own shares nothing, not even between two lives of a broker.
    key.holder == nil ? minter.vault(of: key.client).map { StoreSlots(key, $0) } : nil
  }

  private func open(_ values: [[UInt8]?], of slots: StoreSlots) async -> SharedFinding {
    var found = SharedFinding()
    var checked: StoredToken?
    for (slot, sealed) in zip(slots.slots, values) {
      guard let sealed else { continue }
      guard let bytes = slots.vault.open(sealed, about: slot.subject) else {
        ignore(slots.key, "it does not open with this broker's key")
        continue
      }
      switch slot.subject {
      case .token:
        if found.token == nil,
          let stored = StoreRecord.decode(StoreRecord.Token.self, bytes)?.stored(isChecked: true)
        {
          checked = stored
          found.token = try? await revalidated(stored, for: slots.key).get()
        }
      case .failure, .limit:
        let record = StoreRecord.decode(StoreRecord.Failure.self, bytes)
        // What concerns more than the key comes later, and counts more.
        found.failure = record?.error(wallNow: WallClock.now) ?? found.failure
        guard case .failure = slot.subject, let held = record?.held?.stored(isChecked: false),
          held.isNewer(than: checked)
        else { continue }
        switch await revalidated(held, for: slots.key) {
        case .success(let token): (found.token, found.failure) = (token, nil)
        case .failure(let error): found.failure = error.cause.isTransient ? error : nil
        }
      }
    }
    return found
  }

  private func revalidated(_ stored: StoredToken, for key: TokenKey) async -> Result<MintedToken, TokenError> {
    do throws(TokenError) {
      let deadline = Instant.now.advanced(by: Self.revalidationTimeout)
      return .success(try await minter.revalidate(stored, for: key, deadline: deadline))
    } catch {
      if stored.isChecked || !error.cause.isTransient { ignore(key, error.message) }
      return .failure(error)
    }
  }

  // MARK: What happened

  private func ignore(_ key: TokenKey, _ reason: String) {
    counts.withLock { $0.ignored += 1 }
    log.debug(
      "a value of the store is ignored",
      metadata: ["client": "\(key.client.name)", "audience": "\(key.audience)", "reason": "\(reason)"])
  }

  func counted<Value>(
    _ operation: StoreOperation, _ body: () async throws(StoreError) -> Value
  ) async throws(StoreError) -> Value {
    do throws(StoreError) {
      let value = try await body()
      count(operation, isOK: true)
      return value
    } catch {
      count(operation, isOK: false)
      throw error
    }
  }

  private func count(_ operation: StoreOperation, isOK: Bool) {
    counts.withLock { $0.outcomes[.init(operation: operation, isOK: isOK), default: 0] += 1 }
  }
}

extension StoredToken {
  /// Whether it was minted after `other`.
  fileprivate func isNewer(than other: StoredToken?) -> Bool {
    other.map { mintedAt > $0.mintedAt && accessToken != $0.accessToken } ?? true
  }
}
