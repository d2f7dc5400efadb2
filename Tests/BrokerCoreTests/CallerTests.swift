import Basics
import OAuth
import Testing
import BrokerCore

/// Who may have what.
@Suite struct CallerTests {
  // MARK: Audiences

  @Test(
    "An audience is matched byte for byte, and a star only behind a slash at the end",
    arguments: [
      ("https://api.example.com/", "https://api.example.com/", true),
      ("https://api.example.com/", "https://api.example.com", false),
      ("https://api.example.com/", "https://api.example.com/v1", false),
      ("https://api.example.com", "https://api.example.com.evil.example/", false),
      ("https://api.example.com/", "HTTPS://api.example.com/", false),
      ("https://api.example.com/", "https://API.example.com/", false),
      ("https://ledger.example.com/*", "https://ledger.example.com/", true),
      ("https://ledger.example.com/*", "https://ledger.example.com/v1", true),
      ("https://ledger.example.com/*", "https://ledger.example.com/v1/../v2", true),
      ("https://ledger.example.com/*", "https://ledger.example.com", false),
      ("https://ledger.example.com/*", "https://ledger.example.com.evil.example/", false),
      ("https://ledger.example.com/*", "https://ledger.example.com%2Fv1", false),
      ("https://ledger.example.com/*", "https://ledger.example.com@evil.example/", false),
      ("https://ledger.example.com/*", "https://ledger.example.comx/", false),
      ("https://ledger.example.com/*", "xhttps://ledger.example.com/", false),
      ("https://ledger.example.com/v1/*", "https://ledger.example.com/v1", false),
      ("https://ledger.example.com/v1/*", "https://ledger.example.com/v10/", false),
      ("urn:orders", "urn:orders", true),
      ("urn:orders", "urn:orders:all", false),
      ("*", "anything at all", true),
      ("*", "*", true),
      // Equal as Swift strings, but other bytes.
      ("https://caf\u{E9}/", "https://cafe\u{301}/", false),
    ])
  func audiences(_ pattern: String, _ audience: String, _ isAllowed: Bool) {
    var audiences = AudienceSet()
    let isPattern = audiences.insert(pattern: pattern)
    #expect(isPattern)
    #expect(audiences.contains(Array(audience.utf8)) == isAllowed)
  }

  @Test(
    "Any other star is no pattern, and adds nothing",
    arguments: [
      "**", "https://*", "https:/*", "https://a*", "https://*.example.com/", "*/", "https://a/*/b", "https://a/**",
    ])
  func badPatterns(_ pattern: String) {
    var audiences = AudienceSet()
    let isPattern = audiences.insert(pattern: pattern)
    #expect(!isPattern)
    #expect(!audiences.contains(Array(pattern.utf8)))
  }

  @Test(
    "A caller's audience by default is the one that it is given, else the only one that is named without a star",
    arguments: [
      (["https://a/"], nil, "https://a/"), (["https://a/", "https://b/*"], nil, "https://a/"),
      (["https://a/", "https://b/"], nil, nil), (["*"], nil, nil), (["https://b/*"], nil, nil),
      (["https://a/", "https://b/"], "https://b/", "https://b/"), (["*"], "https://b/", "https://b/"),
    ] as [([String], String?, String?)])
  func defaultAudience(_ patterns: [String], _ given: String?, _ expected: String?) {
    var audiences = AudienceSet()
    for pattern in patterns { _ = audiences.insert(pattern: pattern) }
    #expect(Caller(name: "a", audiences: audiences, defaultAudience: given).defaultAudience == expected)
  }

  @Test("A caller may name the organizations on its list, and any where the list has a star")
  func organizations() {
    let callers = [[], ["org_a"], ["*"]].map {
      Caller(name: "a", audiences: AudienceSet(), organizations: Set($0))
    }
    #expect(callers.map { $0.mayName("org_a") } == [false, true, true])
    #expect(callers.map { $0.mayName("org_b") } == [false, false, true])
    let kelvin = Caller(name: "a", audiences: AudienceSet(), organizations: ["org_K"])
    #expect(kelvin.mayName("org_K") && !kelvin.mayName("org_\u{212A}"), "equal to Unicode, but not to a tenant")
  }

  // MARK: Proofs

  private static let key = SHA256Digest(of: Array("key".utf8).span)

  private func directory(_ proofs: [CallerDirectory.Proof]) -> CallerDirectory {
    var directory = CallerDirectory()
    let caller = Caller(name: "a", audiences: AudienceSet())
    for proof in proofs {
      let other = directory.insert(proof, of: caller)
      #expect(other == nil)
    }
    return directory
  }

  @Test("A proof is good for what it says and for nothing near it")
  func proofs() throws {
    let name = try #require(CertificateName("spiffe://example.com/ns/a"))
    let host = try #require(CertificateName("dns:Reports.internal"))
    let subject = try #require(CertificateName("subject:CN=a,O=b"))
    let directory = directory([
      .key(Self.key), .certificate(name), .certificate(host), .certificate(subject), .serviceAccount("jobs/batch"),
      .unixUser(1001), .unixGroup(2000),
    ])
    let cases: [(CallerDirectory.Proof, Bool)] = [
      (.key(Self.key), true), (.key(SHA256Digest(of: Array("Key".utf8).span)), false),
      (.key(SHA256Digest(of: Array("key ".utf8).span)), false), (.key(SHA256Digest(of: Array("".utf8).span)), false),
      (.certificate(.uri("spiffe://example.com/ns/a")), true),
      (.certificate(.uri("spiffe://example.com/ns/ab")), false),
      (.certificate(.uri("spiffe://example.com/ns/A")), false),
      (.certificate(.dns("spiffe://example.com/ns/a")), false),
      (.certificate(.dns("reports.internal")), true), (.certificate(.dns("reports.internal.evil")), false),
      (.certificate(.subject("CN=a,O=b")), true), (.certificate(.subject("CN=a")), false),
      (.serviceAccount("jobs/batch"), true), (.serviceAccount("jobs/batch2"), false),
      (.serviceAccount("batch/jobs"), false), (.unixUser(1001), true), (.unixUser(2000), false),
      (.unixGroup(2000), true), (.unixGroup(1001), false),
    ]
    for (proof, isKnown) in cases { #expect((directory.caller(proof) != nil) == isKnown, "\(proof)") }
  }

  @Test("The peer of a Unix socket is known by its user first, then by one of its groups")
  func peers() {
    var directory = CallerDirectory()
    let (user, group) = (Caller(name: "u", audiences: AudienceSet()), Caller(name: "g", audiences: AudienceSet()))
    _ = directory.insert(.unixUser(1), of: user)
    _ = directory.insert(.unixGroup(5), of: group)
    #expect(directory.caller(user: 1, groups: [5])?.name == "u")
    #expect(directory.caller(user: 2, groups: [4, 5])?.name == "g")
    #expect(directory.caller(user: 5, groups: [1]) == nil)
  }

  @Test("A proof belongs to the first caller that has it")
  func taken() {
    var directory = directory([.key(Self.key)])
    let other = Caller(name: "b", audiences: AudienceSet())
    let holder = directory.insert(.key(Self.key), of: other)
    #expect(holder?.name == "a")
    #expect(directory.caller(.key(Self.key))?.name == "a")
  }

  @Test("A digest is read back as it was written, and every bit of it counts")
  func digests() throws {
    let hex = Self.key.hex
    #expect(hex == "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683")
    #expect(SHA256Digest(hex: hex) == Self.key && SHA256Digest(hex: hex.uppercased()) == Self.key)
    let digits = Array(hex)
    for index in digits.indices {
      var other = digits
      other[index] = other[index] == "0" ? "1" : "0"
      #expect(SHA256Digest(hex: String(other)) != Self.key)
    }
    for wrong in ["", "xyz", String(hex.dropLast()), hex + "0", "g" + hex.dropFirst()] {
      #expect(SHA256Digest(hex: wrong) == nil)
    }
  }

  // MARK: Scopes and limits

  @Test("A caller gets the scopes it may have, and no others")
  func scopes() {
    let free = Caller(name: "a", audiences: AudienceSet())
    #expect(free.scope(asked: nil) == .granted(nil) && free.scope(asked: "x y") == .granted("x y"))
    let bound = Caller(name: "a", audiences: AudienceSet(), scopes: ["read:b", "read:a"])
    #expect(bound.scope(asked: nil) == .granted("read:a read:b"))
    #expect(bound.scope(asked: nil, usual: "write:a") == .granted("read:a read:b"))
    #expect(free.scope(asked: nil, usual: "write:a") == .granted("write:a"))
    #expect(bound.scope(asked: "read:a") == .granted("read:a"))
    #expect(bound.scope(asked: "read:a write:a") == .refused("write:a"))
    #expect(bound.scope(asked: "read:A") == .refused("read:A"))
  }

  @Test("So many requests a minute are admitted at once, and then one at a time")
  func rateLimit() {
    let caller = Caller(name: "a", audiences: AudienceSet(), limit: SharedRateLimiter(perMinute: 60))
    let start = Instant(nanoseconds: 1_000_000_000_000)
    let admitted = (0..<100).filter { _ in caller.admit(now: start) == nil }.count
    #expect(admitted == 60)
    #expect(caller.admit(now: start) == .seconds(1))
    #expect(caller.admit(now: start.advanced(by: .seconds(1))) == nil)
    #expect(caller.admit(now: start.advanced(by: .seconds(1))) != nil)
    let later = start.advanced(by: .seconds(600))
    #expect((0..<100).filter { _ in caller.admit(now: later) == nil }.count == 60)
  }

  // MARK: The catalogue

  @Test("A listed audience has its own client, scope and organization; a closed list has no others")
  func catalogue() {
    let entry = AudienceCatalog.Entry(
      client: "b", scope: "s", organization: "o", verification: .opaque, isPrefetched: true)
    let closed = AudienceCatalog(listed: [Array("x".utf8): entry], other: nil)
    let key = TokenKey(client: "b", grant: Grant(audience: "x", scope: "s", organization: "o"))
    #expect(closed.key(for: Grant(audience: "x")) == key && closed.isPlain(key))
    #expect(closed.key(for: Grant(audience: "x", scope: "t"))?.grant.scope == "t")
    #expect(closed.key(for: Grant(audience: "y")) == nil)
    #expect(closed.verification(of: key) == .opaque && closed.prefetchedKeys == [key])
    let open = AudienceCatalog(listed: [:], other: .init(client: "a"))
    let plain = TokenKey(client: "a", grant: Grant(audience: "y"))
    #expect(open.key(for: Grant(audience: "y")) == plain && open.isPlain(plain))
    #expect(!open.isPlain(TokenKey(client: "a", grant: Grant(audience: "y", scope: "s"))))
    #expect(!open.isPlain(TokenKey(client: "b", grant: Grant(audience: "y"))))
  }
}
