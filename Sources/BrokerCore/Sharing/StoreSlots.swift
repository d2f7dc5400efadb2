import Basics
import OAuth

/// Where a store may have something about one key, and with what it is sealed.
struct StoreSlots {
  let key: TokenKey
  let vault: Vault
  let tokenName: StoreName
  /// What to ask the store for, each with what it is about.
  let slots: [(name: StoreName, subject: Vault.Subject)]

  var grant: Grant { key.grant }
  var names: [StoreName] { slots.map(\.name) }

  /// `vault` is the one of the key's client.
  init(_ key: TokenKey, _ vault: Vault) {
    var subjects: [Vault.Subject] = [.token(key.grant), .failure(key.grant), .limit(organization: nil)]
    if let organization = key.organization { subjects.append(.limit(organization: organization)) }
    self.key = key
    self.vault = vault
    tokenName = vault.name(of: .token(key.grant))
    slots = subjects.flatMap { subject in vault.names(of: subject).map { ($0, subject) } }
  }

  /// Whether what was found in the token's slot is this token, or one that is no older, or says that this one was
  /// thrown away.
  func isToken(_ sealed: [UInt8]?, asNewAs minted: MintedToken) -> Bool {
    guard let bytes = opened(sealed) else { return false }
    if let found = StoreRecord.decode(StoreRecord.Token.self, bytes) {
      return found.token == minted.accessToken.value || isNew(found, as: minted)
    }
    guard let purge = StoreRecord.decode(StoreRecord.Purge.self, bytes) else { return false }
    return purge.purgedAt >= minted.kept(now: .now, wallNow: WallClock.now).mintedAt
  }

  /// Where there may be something about the key alone.
  var ownNames: [StoreName] {
    slots.compactMap { slot in if case .limit = slot.subject { nil } else { slot.name } }
  }

  /// Whether what was found in the token's slot was minted after `minted`, and less than `age` ago.
  func isToken(_ sealed: [UInt8]?, newerThan minted: MintedToken, younger age: Duration) -> Bool {
    guard let found = token(in: sealed), found.token != minted.accessToken.value else { return false }
    return isNew(found, as: minted) && found.mintedAt > WallClock.now - age / .seconds(1)
  }

  /// For which Auth0 lets an API's tokens live: 30 days.
  private static let longestLife = Duration.seconds(30 * 86_400)

  private func token(in sealed: [UInt8]?) -> StoreRecord.Token? {
    opened(sealed).flatMap { StoreRecord.decode(StoreRecord.Token.self, $0) }
  }

  /// What is in the token's slot, opened.
  private func opened(_ sealed: [UInt8]?) -> [UInt8]? { sealed.flatMap { vault.open($0, about: .token(grant)) } }

  private func isNew(_ found: StoreRecord.Token, as minted: MintedToken) -> Bool {
    found.mintedAt >= minted.kept(now: .now, wallNow: WallClock.now).mintedAt
  }

  /// What others are to find of a fetch that came to `result`; nil for what says nothing to them.
  /// `held` is a token that could not be checked: until it ends they need not ask for another.
  func entry(
    for result: Result<MintedToken, TokenError>, held: StoredToken? = nil, now: Instant, wallNow: Double
  ) -> StoreEntry? {
    switch result {
    case .success(let minted):
      let record = StoreRecord.Token(minted.kept(now: now, wallNow: wallNow))
      return entry(.token(grant), record, lifetime: now.duration(to: minted.expiresAt))
    case .failure(let error):
      guard let failure = SharedFailure(error) else { return nil }
      let subject: Vault.Subject =
        switch failure.reach {
        case .key: .failure(grant)
        case .organization: .limit(organization: grant.organization)
        case .client: .limit(organization: nil)
        }
      var record = StoreRecord.Failure(failure, wallNow: wallNow)
      var lifetime = failure.lifetime
      // What concerns more than the key is read for other grants, too.
      if failure.reach == .key, let held {
        record.held = .init(held)
        lifetime = max(lifetime, .seconds(held.expiresAt - wallNow))
      }
      return entry(subject, record, lifetime: lifetime)
    }
  }

  /// What is left in the token's slot when a token is thrown away, for as long as that one or the one that was found
  /// there lives, and no less than other brokers' may.
  func purgeMark(over minted: MintedToken?, _ sealed: [UInt8]?) -> StoreEntry? {
    let (now, wallNow) = (Instant.now, WallClock.now)
    let lives = [
      minted.map { now.duration(to: $0.expiresAt) }, token(in: sealed).map { .seconds($0.expiresAt - wallNow) },
    ]
    let lifetime = lives.compactMap(\.self).reduce(Self.longestLife, max)
    return entry(.token(grant), StoreRecord.Purge(purgedAt: wallNow), lifetime: lifetime)
  }

  private func entry(_ subject: Vault.Subject, _ record: some Encodable, lifetime: Duration) -> StoreEntry? {
    guard lifetime >= .milliseconds(1), let bytes = StoreRecord.encode(record),
      let sealed = vault.seal(bytes, about: subject)
    else { return nil }
    return StoreEntry(name: vault.name(of: subject), value: sealed, lifetime: lifetime)
  }
}
