import Basics
import DevTenant
import IO
import Logging
import OAuth
import TestSupport
import Testing

@testable import BrokerCore

/// What of the clients goes on when the configuration is read again, against the development tenant.
/// One at a time: each tenant makes an RSA key, which in a debug build keeps a core busy for long.
@Suite(.serialized, .timeLimit(.minutes(1))) struct UpstreamsTests {
  private let key = TokenKey(client: "default", grant: Grant(audience: "https://api.example.com/"))
  private let audiences = AudienceCatalog(listed: [:], other: .init(client: "default"))

  private func withTenant(_ body: (DevTenant) async throws -> Void) async throws {
    var options = DevTenant.Options(address: try SocketAddress(parsing: "127.0.0.1:0"))
    options.tls = false
    let tenant = try DevTenant(options)
    async let _ = tenant.run()
    defer { tenant.stop() }
    try await body(tenant)
  }

  private func spec(
    _ tenant: DevTenant, secrets: [String]? = nil, connection: ServerConnection = ServerConnection(),
    files: [String: SHA256Digest] = [:]
  ) -> UpstreamSpec {
    UpstreamSpec(
      client: .auth0(
        baseURL: tenant.baseURL, clientID: tenant.clientID,
        secrets: (secrets ?? tenant.secrets).map { Secret($0.utf8) }),
      connection: connection, secretFile: "/secret", sealing: .ownSecrets, files: files)
  }

  private var soon: Instant { .now.advanced(by: .seconds(10)) }

  @Test("A client that is the same after a reload goes on with the keys that it has read")
  func unchanged() async throws {
    try await withTenant { tenant in
      let upstreams = Upstreams()
      for _ in 1...3 {
        let change = try upstreams.replace(with: [spec(tenant)], audiences: audiences)
        #expect(change.retired.isEmpty)
        _ = try await upstreams.mint(key, deadline: soon)
      }
      #expect(tenant.statistics.keySetRequests == 1 && tenant.statistics.mints == 3)
      #expect(await upstreams.status.first?.source.keySet?.fetchedAt != nil)
    }
  }

  @Test("A client whose secrets are others goes on with its keys, and asks with the new secrets")
  func otherSecrets() async throws {
    try await withTenant { tenant in
      let upstreams = Upstreams()
      _ = try upstreams.replace(with: [spec(tenant)], audiences: audiences)
      _ = try await upstreams.mint(key, deadline: soon)
      let name = try #require(upstreams.vault(of: "default")).name(of: .token(key.grant))
      tenant.accept(secrets: ["new"])
      _ = try upstreams.replace(with: [spec(tenant, secrets: ["new"])], audiences: audiences)
      _ = try await upstreams.mint(key, deadline: soon)
      #expect(tenant.statistics.keySetRequests == 1 && tenant.statistics.mints == 2)
      #expect(upstreams.vault(of: "default")?.name(of: .token(key.grant)) != name)
    }
  }

  @Test("A client that is reached in another way, or whose files hold something else, begins anew")
  func changed() async throws {
    try await withTenant { tenant in
      let upstreams = Upstreams()
      let specs = [
        spec(tenant), spec(tenant, connection: ServerConnection(timeout: .seconds(9))),
        spec(
          tenant, connection: ServerConnection(timeout: .seconds(9)),
          files: ["ca.pem": SHA256Digest(of: [1].span)]),
      ]
      for spec in specs {
        _ = try upstreams.replace(with: [spec], audiences: audiences)
        _ = try await upstreams.mint(key, deadline: soon)
      }
      #expect(tenant.statistics.keySetRequests == 3)
    }
  }

  @Test("A client that asks as somebody else is another one, and the old one is retired")
  func otherIdentity() async throws {
    try await withTenant { tenant in
      let upstreams = Upstreams()
      _ = try upstreams.replace(with: [spec(tenant)], audiences: audiences)
      let other = UpstreamSpec(
        client: .auth0(baseURL: tenant.baseURL, clientID: "other", secrets: [Secret("s".utf8)]),
        connection: ServerConnection())
      let change = try upstreams.replace(with: [other], audiences: audiences)
      #expect(change.retired == ["default"])
      #expect(change.audiences.key(for: key.grant)?.client == UpstreamID("default", generation: 1))
      // Whoever was waiting still gets a token of the old one.
      _ = try await upstreams.mint(key, deadline: soon)
    }
  }

  @Test(
    "A client is another one once an audience's tokens are checked that were not, and goes on with any other audience",
    arguments: [
      (["a"], ["a"], false), ([], ["a"], false), (["a"], ["a", "b"], false), (["a"], [], true),
      (["a", "b"], ["b"], true), (["b"], ["a"], true),
    ] as [([String], [String], Bool)])
  func unverified(_ before: [String], _ after: [String], _ isAnother: Bool) throws {
    var roster = UpstreamRoster<Int>()
    let spec = UpstreamSpec(
      client: .auth0(baseURL: "https://t", clientID: "c", secrets: [Secret("s".utf8)]), connection: ServerConnection())
    func replace(_ unverified: [String], isOpen: Bool = true) -> UpstreamChange {
      var audiences = AudienceCatalog(listed: [:], other: isOpen ? .init(client: "default") : nil)
      audiences.list(unverified, .init(client: "default", verification: .opaque))
      return roster.replace(with: [spec], audiences: audiences) { _, _ in 0 }
    }
    _ = replace(before)
    #expect(replace(after).retired == (isAnother ? ["default"] : []))
    // One that is not served for a while has not been checked meanwhile.
    _ = replace(after)
    #expect(replace([], isOpen: false).retired.isEmpty)
    #expect(replace([]).retired.isEmpty == after.isEmpty)
  }

  @Test("Tokens that are held have the keys read that vouch for them, though the client began anew, and go if revoked")
  func revokedAfterReload() async throws {
    try await withTenant { tenant in
      let upstreams = Upstreams()
      let broker = Broker(requestTimeout: .seconds(10), minter: upstreams, health: Health(), log: .silent)
      _ = try upstreams.replace(with: [spec(tenant)], audiences: audiences)
      _ = try await broker.token(key)
      try tenant.rotateKey(revokingPrevious: true)
      _ = try upstreams.replace(
        with: [spec(tenant, connection: ServerConnection(timeout: .seconds(9)))], audiences: audiences)
      await broker.pollKeySets()
      #expect(tenant.statistics.keySetRequests == 2)
      for await event in upstreams.events {
        await broker.handle(event)
        if await broker.figures.tokens.isEmpty { break }
      }
      #expect(await broker.figures.tokens.isEmpty)
    }
  }

  @Test("Nobody's keys are read where no token is held")
  func idle() async throws {
    try await withTenant { tenant in
      let upstreams = Upstreams()
      _ = try upstreams.replace(with: [spec(tenant)], audiences: audiences)
      await upstreams.pollKeySets(holders: [])
      #expect(tenant.statistics.keySetRequests == 0)
    }
  }

  @Test("Secrets are replaced only by others, and then it is told whose they are")
  func replacedSecrets() async throws {
    try await withTenant { tenant in
      let upstreams = Upstreams()
      _ = try upstreams.replace(with: [spec(tenant, secrets: ["a"])], audiences: audiences)
      #expect(!upstreams.replaceSecrets(of: "default", in: "/secret", with: [Secret("a".utf8)]))
      #expect(!upstreams.replaceSecrets(of: "other", in: "/secret", with: [Secret("b".utf8)]))
      #expect(!upstreams.replaceSecrets(of: "default", in: "/former", with: [Secret("b".utf8)]))
      #expect(upstreams.replaceSecrets(of: "default", in: "/secret", with: [Secret("b".utf8)]))
      var events = upstreams.events.makeAsyncIterator()
      guard case .credentialsChanged("default")? = await events.next() else {
        Issue.record("it was not told")
        return
      }
    }
  }

  @Test("What a configuration was refused that is gone by then is asked again as the one that there is")
  func refusedBefore() async throws {
    try await withTenant { tenant in
      let upstreams = Upstreams()
      _ = try upstreams.replace(with: [spec(tenant, secrets: ["old"])], audiences: audiences)
      tenant.setLatency(.milliseconds(300))
      async let token = upstreams.mint(key, deadline: soon)
      for await statistics in tenant.updates where statistics.tokenRequests == 1 { break }
      _ = try upstreams.replace(
        with: [spec(tenant, connection: ServerConnection(timeout: .seconds(9)))], audiences: audiences)
      let minted = try await token
      #expect(minted.keyID != nil && minted.resends == 1)
    }
  }

  /// A client of a server that answers each request with the same opaque token, and does not say how long it lives.
  private func opaque(
    _ peer: RawPeer, named name: String = "default", id: String = "c", timeout: Int = 10, lifetime: Int = 3600,
    scope: String? = nil
  ) throws -> UpstreamSpec {
    let client = try OAuthClient(
      name: name, clientID: id, authentication: .secretPost(ClientSecrets([Secret("s".utf8)])),
      location: .fixed(Endpoints(tokenURL: peer.url)), dialect: Dialect(scopeTemplate: scope),
      tokenLifetime: .seconds(lifetime))
    return UpstreamSpec(client: client, connection: ServerConnection(timeout: .seconds(timeout)))
  }

  /// The lives that a repeated token is given under these configurations, one after the other.
  private func lives(_ specs: (RawPeer) throws -> [UpstreamSpec]) async throws -> [MintedToken] {
    ThisProcess.ignoreFailingWrites()
    return try await withPeer { connection in
      while connection.request() != nil { connection.answer("200 OK", body: #"{"access_token":"t"}"#) }
    } _: { peer in
      let upstreams = Upstreams()
      var tokens: [MintedToken] = []
      for spec in try specs(peer) {
        let audiences = AudienceCatalog(listed: [:], other: .init(client: spec.name, verification: .opaque))
        let change = try upstreams.replace(with: [spec], audiences: audiences)
        let key = try #require(change.audiences.key(for: key.grant))
        tokens.append(try await upstreams.mint(key, deadline: soon))
      }
      return tokens
    }
  }

  @Test("A repeated token is known again after a reload that changes a client, by whatever name it goes then")
  func repeatedAfterReload() async throws {
    let tokens = try await lives { peer in
      try [
        opaque(peer), opaque(peer, timeout: 9), opaque(peer, timeout: 9, scope: "read"),
        opaque(peer, named: "other", scope: "read"),
      ]
    }
    #expect(Set(tokens.map(\.expiresAt)).count == 1, "\(tokens.map(\.expiresAt))")
  }

  @Test("Where the lifetime that is assumed was set wrong, a repeated token's life is mended from its beginning")
  func otherLifetime() async throws {
    let tokens = try await lives { peer in try [opaque(peer), opaque(peer, lifetime: 600)] }
    #expect(tokens[0].expiresAt.duration(to: tokens[1].expiresAt) == .seconds(-3000))
  }

  @Test("Another client id makes a token that looks the same another one")
  func otherClientID() async throws {
    let tokens = try await lives { peer in try [opaque(peer), opaque(peer, id: "d")] }
    #expect(tokens[0].expiresAt < tokens[1].expiresAt)
  }
}
