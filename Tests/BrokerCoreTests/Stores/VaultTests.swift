import Basics
import OAuth
import Testing

@testable import BrokerCore

@Suite struct VaultTests {
  private let grant = Grant(audience: "https://api.example.com/")
  private let value = Array("eyJhbGciOi.payload.signature".utf8)

  private func vault(_ secrets: String..., identity: [String] = ["https://acme.eu.auth0.com/", "client"]) throws
    -> Vault
  {
    try #require(Vault(secrets: secrets.map { Secret(Array($0.utf8)) }, identity: identity))
  }

  /// Subjects that have something in common, and are not the same.
  private var subjects: [Vault.Subject] {
    [
      .token(grant), .failure(grant), .limit(organization: nil), .limit(organization: "none"),
      .token(Grant(audience: "https://api.example.com")), .token(Grant(audience: grant.audience, scope: "a")),
      .token(Grant(audience: grant.audience, organization: "a")),
      .token(Grant(audience: grant.audience, scope: "none")),
      // Written one behind the other, the parts of these two would be the same bytes.
      .token(Grant(audience: grant.audience, scope: "bsomec")),
      .token(Grant(audience: grant.audience + "someb", scope: "c")),
    ]
  }

  @Test("What is sealed opens again for the same subject, and says nothing of what is in it")
  func roundTrip() throws {
    let vault = try vault("secret")
    let sealed = try #require(vault.seal(value, about: .token(grant)))
    #expect(vault.open(sealed, about: .token(grant)) == value)
    #expect(!String(decoding: sealed, as: UTF8.self).contains("payload"))
    #expect(vault.seal(value, about: .token(grant)) != sealed, "two seals of one value are alike")
  }

  @Test("A value opens for its own subject only, and each subject has a name of its own")
  func subjectsDiffer() throws {
    let vault = try vault("secret")
    for (index, subject) in subjects.enumerated() {
      let sealed = try #require(vault.seal(value, about: subject))
      for (other, subject) in subjects.enumerated() {
        #expect((vault.open(sealed, about: subject) != nil) == (index == other), "\(index) as \(other)")
      }
    }
    #expect(Set(subjects.map { vault.name(of: $0) }).count == subjects.count)
  }

  @Test("A flipped bit anywhere, a byte less or more, or another version, and it does not open")
  func damage() throws {
    let vault = try vault("secret")
    let sealed = try #require(vault.seal(value, about: .token(grant)))
    for index in sealed.indices {
      var damaged = sealed
      damaged[index] ^= 1 << UInt8(index % 8)
      #expect(vault.open(damaged, about: .token(grant)) == nil, "byte \(index)")
    }
    for length in 0..<sealed.count { #expect(vault.open(Array(sealed.prefix(length)), about: .token(grant)) == nil) }
    #expect(vault.open(sealed + [0], about: .token(grant)) == nil)
  }

  @Test("Where an audience's tokens are not checked matters to that audience, and to no other, nor to the count")
  func unverified() throws {
    let secrets = [Secret("secret".utf8)]
    let checked = try #require(Vault(secrets: secrets, identity: ["client"], unverified: [Array("urn:other".utf8)]))
    let audience = Array(grant.audience.utf8)
    let unchecked = try #require(Vault(secrets: secrets, identity: ["client"], unverified: [audience]))
    let other = Grant(audience: "urn:third")
    #expect(checked.name(of: .token(grant)) != unchecked.name(of: .token(grant)))
    #expect(try checked.open(#require(unchecked.seal(value, about: .token(grant))), about: .token(grant)) == nil)
    #expect(checked.name(of: .token(other)) == unchecked.name(of: .token(other)))
    #expect(try checked.open(#require(unchecked.seal(value, about: .token(other))), about: .token(other)) == value)
    #expect(checked.name(of: .limit(organization: nil)) == unchecked.name(of: .limit(organization: nil)))
    #expect(checked.name(ofMintsIn: 1) == unchecked.name(ofMintsIn: 1))
  }

  @Test("Another secret, client or tenant reads nothing and finds nothing")
  func otherVaults() throws {
    let sealed = try #require(vault("secret").seal(value, about: .token(grant)))
    for other in [try vault("other"), try vault("secret", identity: ["https://acme.eu.auth0.com/", "client2"])] {
      #expect(other.open(sealed, about: .token(grant)) == nil)
      #expect(try other.name(of: .token(grant)) != vault("secret").name(of: .token(grant)))
    }
    #expect(Vault(secrets: [], identity: ["x"]) == nil)
  }

  @Test("While a secret is rotated, what was sealed with the old one is still found and read")
  func rotation() throws {
    let (old, both) = (try vault("old"), try vault("new", "old"))
    let sealed = try #require(old.seal(value, about: .token(grant)))
    #expect(both.open(sealed, about: .token(grant)) == value)
    #expect(both.names(of: .token(grant)).contains(old.name(of: .token(grant))))
    let new = try vault("new")
    #expect(new.open(try #require(both.seal(value, about: .token(grant))), about: .token(grant)) == value)
    #expect(both.name(of: .token(grant)) == new.name(of: .token(grant)))
  }

  @Test("A name is what HMAC by a key of HKDF makes of it (RFC 5869), so that brokers of all versions find it")
  func names() throws {
    let name = try vault("secret").name(ofMintsIn: 5)
    // Computed with Python's hmac.
    #expect(Hex.text(name.bytes) == "cfdb6c40bc103cfff84558daa67d3a35ad858a1d3a9cf7d4ba1ef8db58825a3d")
  }

  @Test("What is known of one grant has the token's group under each secret, and a limit has its own")
  func groups() throws {
    let vault = try #require(Vault(secrets: [Secret("new".utf8), Secret("old".utf8)], identity: ["client"]))
    let tokens = vault.names(of: .token(grant))
    #expect(tokens.map(\.group) == tokens.map(\.bytes))
    #expect(vault.names(of: .failure(grant)).map(\.group) == tokens.map(\.bytes))
    let limit = vault.name(of: .limit(organization: "org"))
    #expect(limit.group == limit.bytes)
  }
}
