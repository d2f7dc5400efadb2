import Basics

@testable import OAuth
@testable import BrokerCore

extension FuzzTarget {
  /// What another broker has left in the store: sealed, and what comes out of it.
  static let storerecord = FuzzTarget(name: "storerecord") { bytes in
    guard let vault, let otherVault else { throw BrokenPromise(description: "there are keys") }
    try promise("what was not sealed does not open", vault.open(bytes, about: .token(grant)) == nil)
    if let sealed = vault.seal(bytes, about: .token(grant)), sealed.count <= Vault.maxBytes {
      try promise("what was sealed opens", vault.open(sealed, about: .token(grant)) == bytes)
      for other in others { try promise("about nothing else", vault.open(sealed, about: other) == nil) }
      try promise("to nobody else", otherVault.open(sealed, about: .token(grant)) == nil)
      try promise("nor cut", vault.open(sealed.dropLast(), about: .token(grant)) == nil)
      var changed = sealed
      changed[bytes.reduce(0) { ($0 + Int($1)) % sealed.count }] ^= 1 << UInt8(bytes.count % 8)
      try promise("nor changed", vault.open(changed, about: .token(grant)) == nil)
    }
    // It may come from a broker with the same key that is another version, or has another idea of the time.
    let (now, wallNow) = (Instant(nanoseconds: 1_000_000_000_000_000), 1_700_000_000.0)
    if let stored = StoreRecord.decode(StoreRecord.Token.self, bytes)?.stored(isChecked: true) {
      let token = MintedToken(stored, keyID: nil, expiry: nil, now: now, wallNow: wallNow)
      let longest = Duration.seconds(TokenResponse.maxLifetime)
      try promise("a token has a life that ends", now.duration(to: token.expiresAt) <= longest)
      try promise("it was not minted in the future", token.mintedAt <= now)
    }
    if let error = StoreRecord.decode(StoreRecord.Failure.self, bytes)?.error(wallNow: wallNow) {
      try promise(
        "a failure does not last", error.retryAfter.map { (.zero...SharedFailure.longest).contains($0) } ?? false)
    }
  }

  private static let secrets = [Secret("s3cr3t".utf8), Secret("older".utf8)]
  private static let vault = Vault(secrets: secrets, identity: ["tenant"])
  /// Another client's, with the same secrets.
  private static let otherVault = Vault(secrets: secrets, identity: ["tenant", "b"])

  private static let grant = Grant(audience: "a", scope: "bsomec")
  /// What differs from it in one thing, or in nothing but where its parts end.
  private static let others: [Vault.Subject] = [
    .failure(grant), .limit(organization: nil), .token(Grant(audience: "b", scope: "bsomec")),
    .token(Grant(audience: "a")), .token(Grant(audience: "a", scope: "b")),
    .token(Grant(audience: "a", scope: "bsomec", organization: "o")), .token(Grant(audience: "asomeb", scope: "c")),
  ]
}

extension Vault {
  fileprivate func open(_ sealed: ArraySlice<UInt8>, about subject: Subject) -> [UInt8]? {
    open(Array(sealed), about: subject)
  }
}
