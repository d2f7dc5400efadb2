package import Basics
internal import Crypto
import FoundationEssentials
package import OAuth

/// What makes a store's operator learn nothing but timing, and whatever a store answers harmless: values are sealed
/// with AES-256-GCM for the one thing they are about, and are found by keyed hashes. The keys come from a secret by
/// HKDF.
///
/// A value that was changed, cut, or moved to another name does not open. An earlier value that is put back does open,
/// and is harmless: it is a token that is still valid, or it is not.
package struct Vault: Sendable {
  /// What a value is about.
  package enum Subject: Sendable {
    case token(Grant)
    /// Why there is no token for it.
    case failure(Grant)
    /// What the tenant said of the client, or of one of its organizations, as a whole.
    case limit(organization: String?)
  }

  private struct Keys: Sendable {
    let name: SymmetricKey
    let seal: SymmetricKey

    init(_ secret: Secret) {
      // HKDF's first step (RFC 5869 §2.2), by hand because the secret goes into it.
      var extract = HMAC<SHA256>(key: SymmetricKey(data: Data("token-broker store 1".utf8)))
      secret.withBytes { bytes in unsafe bytes.withUnsafeBytes { unsafe extract.update(data: $0) } }
      let material = extract.finalizeWiping()
      func derive(_ purpose: String) -> SymmetricKey {
        HKDF<SHA256>.expand(pseudoRandomKey: material, info: Data(purpose.utf8), outputByteCount: 32)
      }
      name = derive("name")
      seal = derive("seal")
    }
  }

  /// The newest secret's: values are sealed with these.
  private let current: Keys
  /// Older secrets': what was sealed with them is still read.
  private let former: [Keys]
  /// Which client of which tenant; brokers that differ in it share nothing.
  private let identity: [UInt8]
  private let unverified: Set<[UInt8]>

  private static let version: UInt8 = 1
  /// How long a sealed value may be; a token is at most 16 KiB.
  package static let maxBytes = 64 << 10

  /// `secrets` has the newest first; nil if there is none. `identity` is what clients have in common that get the same
  /// tokens. What is not checked for an audience of `unverified` must not pass for what another broker checks.
  package init?(secrets: [Secret], identity: [String], unverified: some Sequence<[UInt8]> = [[UInt8]]()) {
    guard let newest = secrets.first else { return nil }
    current = Keys(newest)
    former = secrets.dropFirst().map(Keys.init)
    self.identity = Self.joined(identity)
    self.unverified = Set(unverified)
  }

  /// What a value about `subject` is left under.
  package func name(of subject: Subject) -> StoreName { name(of: subject, current) }

  /// Where a value about `subject` may be found, the likeliest first.
  package func names(of subject: Subject) -> [StoreName] { ([current] + former).map { name(of: subject, $0) } }

  private func name(of subject: Subject, _ keys: Keys) -> StoreName {
    let bytes = HMAC<SHA256>.authenticationCode(for: context(subject), using: keys.name)
    // Both are read and written under the token's claim.
    guard case .failure(let grant) = subject else { return StoreName(bytes) }
    return StoreName(bytes, group: name(of: .token(grant), keys).bytes)
  }

  /// What the client's mints in a calendar month are counted under. The count is not sealed, as the store adds to it.
  package func name(ofMintsIn month: Int) -> StoreName {
    let context = identity + Self.joined(["mints", "\(month)"])
    return StoreName(HMAC<SHA256>.authenticationCode(for: context, using: current.name))
  }

  /// Seals `value` about `subject`: a version, a nonce of 12 bytes, the encrypted value, a tag of 16.
  package func seal(_ value: [UInt8], about subject: Subject) -> [UInt8]? {
    guard let box = try? AES.GCM.seal(value, using: current.seal, authenticating: context(subject)) else { return nil }
    return box.combined.map { [Self.version] + $0 }
  }

  /// What was sealed about `subject`; nil for anything else.
  package func open(_ sealed: [UInt8], about subject: Subject) -> [UInt8]? {
    guard sealed.first == Self.version, sealed.count <= Self.maxBytes,
      let box = try? AES.GCM.SealedBox(combined: sealed.dropFirst())
    else { return nil }
    for keys in [current] + former {
      if let value = try? AES.GCM.open(box, using: keys.seal, authenticating: context(subject)) { return Array(value) }
    }
    return nil
  }

  /// The subject and whose it is, in bytes that no other subject has.
  private func context(_ subject: Subject) -> [UInt8] {
    let parts =
      switch subject {
      case .token(let grant): ["token"] + parts(of: grant)
      case .failure(let grant): ["failure"] + parts(of: grant)
      case .limit(let organization): ["limit"] + Self.optional(organization)
      }
    return identity + Self.joined(parts)
  }

  private func parts(of grant: Grant) -> [String] {
    [grant.audience] + Self.optional(grant.scope) + Self.optional(grant.organization)
      + (unverified.contains(Array(grant.audience.utf8)) ? ["unverified"] : [])
  }

  private static func optional(_ text: String?) -> [String] { text.map { ["some", $0] } ?? ["none"] }

  /// Their number, then each behind its length, so that no two lists make the same bytes.
  private static func joined(_ parts: [String]) -> [UInt8] {
    parts.reduce(into: bytes(parts.count)) { joined, part in joined += bytes(part.utf8.count) + Array(part.utf8) }
  }

  private static func bytes(_ number: Int) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * (3 - $0))) }
  }
}
