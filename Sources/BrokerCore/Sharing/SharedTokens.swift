package import Basics
package import Logging
package import OAuth
import Synchronization

/// The tokens of a fleet: reads and writes a store for a broker, which believes nothing of it that does not open and pass
/// the checks of a token that is new. Where the store fails the broker goes on as if it had none.
package final class SharedTokens: Sendable {
  /// Vouches for a token that was kept, by the deadline; throws why it must not be used.
  package typealias Revalidate =
    @Sendable (TokenKey, StoredToken, _ deadline: Instant) async throws(TokenError) -> MintedToken

  package let store: any Store
  private let vault: @Sendable (UpstreamID) -> Vault?
  private let revalidate: Revalidate
  private let log: Logger
  private let counts: Mutex<StoreFigures>
  /// Those under way: nobody waits for them, but for the end of the process.
  private let saves = Mutex<[UInt64: Task<Void, Never>]>([:])

  /// A key set that cannot be read must not hold up those who wait for a token.
  private static let revalidationTimeout = Duration.seconds(2)
  /// How many tokens are looked for at a time: so that nobody else waits long for an answer of the store.
  private static let batch = 32

  /// `vault` is of a client's secrets as they are now; nil for a client that shares nothing.
  package init(
    _ store: any Store, vault: @escaping @Sendable (UpstreamID) -> Vault?, log: Logger, revalidate: @escaping Revalidate
  ) {
    self.store = store
    counts = Mutex(StoreFigures(store.condition))
    self.vault = vault
    self.revalidate = revalidate
    self.log = log
  }

  package var figures: StoreFigures {
    var figures = counts.withLock(\.self)
    figures.condition = store.condition
    return figures
  }

  // MARK: Reading

  /// What is known of `key` beyond this process.
  func load(_ key: TokenKey) async -> SharedFinding {
    guard let shelf = shelf(of: key) else { return SharedFinding() }
    do throws(StoreError) {
      let values = try await counted("load") { () async throws(StoreError) in try await store.load(shelf.names) }
      return await open(values, on: shelf)
    } catch {
      return SharedFinding()
    }
  }

  /// A token for `key` that takes the place of `holding`: made by `mint` under a claim, or taken over from who had it. It is
  /// made without one if the store cannot be used.
  func fetch(
    _ key: TokenKey, holding: MintedToken?, minRemaining: Duration, deadline: Instant,
    mint: @Sendable () async throws(TokenError) -> MintedToken
  ) async throws(TokenError) -> MintedToken {
    guard let shelf = shelf(of: key) else { return try await mint() }
    var fetch = SharedFetch(holding: holding, minRemaining: minRemaining, deadline: deadline)
    while true {
      var outcome: StoreAnswer.Outcome?
      var found = SharedFinding()
      do throws(StoreError) {
        let answer = try await counted("claim") { () async throws(StoreError) in
          try await store.claim(shelf.tokenName, for: SharedFetch.lease, loading: shelf.names)
        }
        outcome = answer.outcome
        found = await open(answer.values, on: shelf)
      } catch {}
      switch fetch.step(outcome, found, now: .now) {
      case .wait(let instant): await store.waitForChange(of: shelf.tokenName, until: instant)
      case .finish(let result, let claim):
        if let claim { settle(shelf, claim, with: nil) }
        return try result.get()
      case .mint(let claim):
        let result = await renewing(claim) {
          do throws(TokenError) { return .success(try await mint()) } catch { return Result.failure(error) }
        }
        settle(shelf, claim, with: result)
        return try result.get()
      }
    }
  }

  private func renewing(
    _ claim: StoreClaim?, _ body: () async -> Result<MintedToken, TokenError>
  ) async -> Result<MintedToken, TokenError> {
    guard let claim else { return await body() }
    let renewals = Task { [store] in
      while (try? await Task.sleep(for: SharedFetch.renewal)) != nil {
        _ = try? await store.renew(claim, for: SharedFetch.lease)
      }
    }
    defer { renewals.cancel() }
    return await body()
  }

  // MARK: Writing

  /// Leaves what came of a fetch. Who waits for the token here does not wait for this.
  private func settle(_ shelf: Shelf, _ claim: StoreClaim?, with result: Result<MintedToken, TokenError>?) {
    let entry = result.flatMap { self.entry(for: $0, on: shelf) }
    if claim == nil, entry == nil { return }
    let id = UInt64.random(in: .min ... .max)
    saves.withLock { saves in
      saves[id] = Task { [self] in
        try? await counted("save") { () async throws(StoreError) in
          try await store.save(entry.map { [$0] } ?? [], settling: claim)
        }
        forget(save: id)
      }
    }
  }

  private func forget(save id: UInt64) { _ = saves.withLock { $0.removeValue(forKey: id) } }

  private func entry(for result: Result<MintedToken, TokenError>, on shelf: Shelf) -> StoreEntry? {
    let (now, wallNow) = (Instant.now, WallClock.now)
    switch result {
    case .success(let minted):
      let record = StoreRecord.Token(minted.kept(now: now, wallNow: wallNow))
      return shelf.entry(.token(shelf.grant), record, lifetime: now.duration(to: minted.expiresAt))
    case .failure(let error):
      guard let failure = SharedFailure(error) else { return nil }
      let subject: Vault.Subject =
        switch failure.reach {
        case .key: .failure(shelf.grant)
        case .organization: .limit(organization: shelf.grant.organization)
        case .client: .limit(organization: nil)
        }
      return shelf.entry(subject, StoreRecord.Failure(failure, wallNow: wallNow), lifetime: failure.lifetime)
    }
  }

  /// Returns when what was to be saved is where it shall be, or cannot get there.
  package func close() async {
    while let save = saves.withLock({ $0.values.first }) { await save.value }
    await store.close()
  }

  /// Leaves those of the tokens that the store has lost, or never had because they were minted while it was away. Somebody
  /// may leave a newer one between the look and the save: that costs a mint at most.
  func restore(_ tokens: [CachedToken]) async {
    var count = 0
    defer {
      if count > 0 { log.info("the store was given back what it had lost", metadata: ["values": "\(count)"]) }
    }
    for start in stride(from: 0, to: tokens.count, by: Self.batch) {
      let kept = tokens[start..<min(start + Self.batch, tokens.count)].compactMap { token in
        shelf(of: token.key).map { (shelf: $0, minted: token.minted) }
      }
      let values = try? await counted("load") { () async throws(StoreError) in
        try await store.load(kept.map(\.shelf.tokenName))
      }
      for ((shelf, minted), value) in zip(kept, values ?? []) where !shelf.isToken(value, asNewAs: minted) {
        guard let entry = entry(for: .success(minted), on: shelf) else { continue }
        let saved: Void? = try? await counted("save") { () async throws(StoreError) in
          try await store.save([entry], settling: nil)
        }
        if saved != nil { count += 1 }
      }
      // Away again: when it is back there will be another occasion.
      if Task.isCancelled || store.condition.problem != nil { return }
    }
  }

  // MARK: What is where

  /// All that a store may have about one key.
  private struct Shelf {
    let key: TokenKey
    let vault: Vault
    let tokenName: StoreName
    /// What to ask the store for, each with what it is about.
    let places: [(name: StoreName, subject: Vault.Subject)]

    var grant: Grant { key.grant }
    var names: [StoreName] { places.map(\.name) }

    /// Whether what was found in the token's place is this token, or one that is no older.
    func isToken(_ sealed: [UInt8]?, asNewAs minted: MintedToken) -> Bool {
      guard let sealed, let bytes = vault.open(sealed, about: .token(grant)),
        let found = StoreRecord.decode(StoreRecord.Token.self, bytes)
      else { return false }
      let kept = minted.kept(now: .now, wallNow: WallClock.now)
      return found.token == kept.accessToken.value || found.mintedAt >= kept.mintedAt
    }

    func entry(_ subject: Vault.Subject, _ record: some Encodable, lifetime: Duration) -> StoreEntry? {
      guard lifetime >= .milliseconds(1), let bytes = StoreRecord.encode(record),
        let sealed = vault.seal(bytes, about: subject)
      else { return nil }
      return StoreEntry(name: vault.name(of: subject), value: sealed, lifetime: lifetime)
    }
  }

  private func shelf(of key: TokenKey) -> Shelf? {
    // Whoever brings credentials of their own shares nothing, not even between two lives of a broker.
    guard key.holder == nil, let vault = vault(key.client) else { return nil }
    var subjects: [Vault.Subject] = [.token(key.grant), .failure(key.grant), .limit(organization: nil)]
    if let organization = key.grant.organization { subjects.append(.limit(organization: organization)) }
    return Shelf(
      key: key, vault: vault, tokenName: vault.name(of: .token(key.grant)),
      places: subjects.flatMap { subject in vault.names(of: subject).map { ($0, subject) } })
  }

  private func open(_ values: [[UInt8]?], on shelf: Shelf) async -> SharedFinding {
    var found = SharedFinding()
    for (place, sealed) in zip(shelf.places, values) {
      guard let sealed else { continue }
      guard let bytes = shelf.vault.open(sealed, about: place.subject) else {
        ignore(shelf.key, "it does not open with this broker's key")
        continue
      }
      switch place.subject {
      case .token:
        if found.token == nil, let record = StoreRecord.decode(StoreRecord.Token.self, bytes) {
          found.token = await revalidated(record.kept, for: shelf.key)
        }
      case .failure, .limit:
        let error = StoreRecord.decode(StoreRecord.Failure.self, bytes)?.error(wallNow: WallClock.now)
        // What concerns more than the key comes later, and counts more.
        found.failure = error ?? found.failure
      }
    }
    return found
  }

  private func revalidated(_ kept: StoredToken, for key: TokenKey) async -> MintedToken? {
    do throws(TokenError) {
      return try await revalidate(key, kept, Instant.now.advanced(by: Self.revalidationTimeout))
    } catch {
      ignore(key, error.message)
      return nil
    }
  }

  // MARK: What happened

  private func ignore(_ key: TokenKey, _ reason: String) {
    counts.withLock { $0.ignored += 1 }
    log.debug(
      "a value of the store is ignored",
      metadata: ["client": "\(key.client.name)", "audience": "\(key.grant.audience)", "reason": "\(reason)"])
  }

  private func counted<Value>(
    _ operation: String, _ body: () async throws(StoreError) -> Value
  ) async throws(StoreError) -> Value {
    do throws(StoreError) {
      let value = try await body()
      counts.withLock { $0.outcomes[.init(operation: operation, isOK: true), default: 0] += 1 }
      return value
    } catch {
      counts.withLock { $0.outcomes[.init(operation: operation, isOK: false), default: 0] += 1 }
      throw error
    }
  }
}
