import Basics
import DevTenant
import Foundation
import HTTPClient
import IO
import Testing

@testable import OAuth

/// The whole way from a grant to a validated token, against the development tenant, which counts what it costs.
/// One at a time: each tenant makes an RSA key, which in a debug build keeps a core busy for long.
@Suite(.serialized, .timeLimit(.minutes(1))) struct TokenSourceTests {
  private let grant = Grant(audience: "https://api.example.com/")

  private func withTenant(
    secrets: [String]? = nil, _ body: (DevTenant, TokenSource) async throws -> Void
  ) async throws {
    var options = DevTenant.Options(address: try SocketAddress(parsing: "127.0.0.1:0"))
    options.tls = false
    let tenant = try DevTenant(options)
    async let _ = tenant.run()
    defer { tenant.stop() }
    let client = OAuthClient.auth0(
      baseURL: tenant.baseURL, clientID: tenant.clientID,
      secrets: (secrets ?? tenant.secrets).map { Secret(($0 == "right" ? tenant.secrets[0] : $0).utf8) })
    try await body(tenant, TokenSource(client: client, http: HTTPClient()))
  }

  /// The error that minting comes to.
  private func refusal(
    _ source: TokenSource, _ grant: Grant? = nil, verify: Verification = .jwt, within seconds: Double = 10
  ) async throws -> TokenError {
    let error = await #expect(throws: TokenError.self) {
      try await source.mint(grant ?? self.grant, verify: verify, deadline: inSeconds(seconds))
    }
    return try #require(error)
  }

  @Test("A token is minted with one request, checked against a key set that is read once, and lives as long as it says")
  func mint() async throws {
    try await withTenant { tenant, source in
      let before = Instant.now
      let token = try await source.mint(grant, deadline: inSeconds(10))
      #expect(token.accessToken.value.split(separator: ".").count == 3)
      #expect(token.keyID != nil && token.upstreamRequestID != nil)
      #expect(token.mintedAt >= before && token.mintedAt <= .now)
      // By a tenant's clock of whole seconds, exp is up to one second before expires_in ends.
      let life = token.mintedAt.duration(to: token.expiresAt)
      #expect(life > .seconds(86398) && life <= .seconds(86400), "\(life)")
      _ = try await source.mint(grant, deadline: inSeconds(10))
      #expect(tenant.statistics.tokenRequests == 2 && tenant.statistics.keySetRequests == 1)
    }
  }

  @Test("The status says which secret was taken and which keys are published, once a token was minted")
  func status() async throws {
    try await withTenant(secrets: ["wrong", "right"]) { tenant, source in
      var status = await source.status
      #expect(status.secrets.allSatisfy { $0.acceptedAt == nil } && status.authentication == "client_secret_post")
      #expect(status.keySet?.keys.isEmpty == true && status.keySet?.fetchedAt == nil)
      let token = try await source.mint(grant, deadline: inSeconds(10))
      status = await source.status
      #expect(status.secrets.map { $0.acceptedAt != nil } == [false, true])
      #expect(status.keySet?.keys.map(\.id) == [token.keyID] && status.keySet?.fetchedAt != nil)
      #expect(status.keySet?.problem == nil && status.issuer == tenant.baseURL + "/")
    }
  }

  @Test("The status says why the key set cannot be read, and when it is asked for again")
  func statusOfFailure() async throws {
    try await withTenant { tenant, source in
      tenant.setKeySet(.failing)
      _ = try await refusal(source, within: 1)
      let status = await source.status
      #expect(status.keySet?.problem?.isEmpty == false && status.keySet?.nextFetch != nil)
    }
  }

  @Test("Life ends with exp where expires_in is missing, or says more", arguments: [Fault.noExpiresIn, .hugeExpiresIn])
  func life(_ fault: Fault) async throws {
    try await withTenant { _, source in
      let before = Instant.now
      let token = try await source.mint(Grant(audience: fault.audience), deadline: inSeconds(10))
      // exp is in whole seconds, so up to one second early.
      #expect(before.duration(to: token.expiresAt) > .seconds(86399))
      #expect(Instant.now.duration(to: token.expiresAt) <= .seconds(86400))
    }
  }

  @Test(
    "Where the newest secret is refused the older one is tried, once, and no more",
    arguments: [
      (["wrong", "right"], 2, true), (["right", "wrong"], 1, true), (["wrong", "old"], 2, false), (["wrong"], 1, false),
      ([], 0, false),
    ])
  func secrets(_ secrets: [String], _ requests: Int, _ isAccepted: Bool) async throws {
    try await withTenant(secrets: secrets) { tenant, source in
      if isAccepted {
        #expect(try await source.mint(grant, deadline: inSeconds(10)).resends == requests - 1)
      } else {
        let error = try await refusal(source)
        #expect(error.cause == .brokerMisconfigured && error.resends == max(0, requests - 1))
      }
      #expect(tenant.statistics.tokenRequests == requests)
      #expect(tenant.statistics.mints == (isAccepted ? 1 : 0))
    }
  }

  @Test("An error says what the tenant said of it, and no more")
  func facts() async throws {
    try await withTenant { _, source in
      let error = try await refusal(source, Grant(audience: Fault.rateLimitedSeconds.audience))
      #expect(error.cause == .upstreamRateLimited && error.upstreamStatus == 429 && error.retryAfter == .seconds(30))
      let invalid = try await refusal(source, Grant(audience: Fault.wrongIssuer.audience))
      #expect(invalid.cause == .tokenValidationFailed && invalid.upstreamStatus == 200)
      #expect(invalid.upstreamRequestID != nil && invalid.retryAfter == nil)
    }
  }

  @Test("A deadline that has passed costs no request, and one that passes ends the wait", arguments: [-1, 2])
  func deadline(_ seconds: Double) async throws {
    try await withTenant { tenant, source in
      let start = Instant.now
      let error = try await refusal(source, Grant(audience: Fault.stall.audience), within: seconds)
      #expect(error.cause == .upstreamTimeout)
      #expect(start.duration(to: .now) < .seconds(9))
      #expect(tenant.statistics.tokenRequests <= (seconds < 0 ? 0 : 1))
    }
  }

  // MARK: The key set

  @Test("A poll for a source that has minted nothing tells which keys are published, if they are needed")
  func poll() async throws {
    try await withTenant { tenant, source in
      await source.pollKeySet(isNeeded: true)
      #expect(tenant.statistics.keySetRequests == 1 && tenant.statistics.tokenRequests == 0)
      for await change in source.keySetChanges {
        #expect(change.keyIDs.count == 1)
        break
      }
    }
  }

  @Test("Many tokens at once need one reading of the key set")
  func singleFlight() async throws {
    try await withTenant { tenant, source in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<20 {
          group.addTask { _ = try await source.mint(grant, deadline: inSeconds(10)) }
        }
        try await group.waitForAll()
      }
      #expect(tenant.statistics.mints == 20 && tenant.statistics.keySetRequests == 1)
    }
  }

  @Test("While the key set cannot be read a minted token is held, and passes once it can")
  func held() async throws {
    try await withTenant { tenant, source in
      tenant.setKeySet(.failing)
      async let token = source.mint(grant, deadline: inSeconds(20))
      for await statistics in tenant.updates where statistics.keySetRequests == 2 { break }
      tenant.setKeySet(.normal)
      let keyID = try await token.keyID
      #expect(keyID != nil)
      #expect(tenant.statistics.mints == 1)
    }
  }

  @Test("A key set that stays unreadable costs one mint, however often a token is asked for")
  func unreadable() async throws {
    try await withTenant { tenant, source in
      tenant.setKeySet(.failing)
      for seconds in [3, 0.1, 0.1] {
        let error = try await refusal(source, within: seconds)
        #expect(error.cause == .upstreamUnavailable)
      }
      #expect(tenant.statistics.mints == 1)
      tenant.setKeySet(.normal)
      #expect(try await source.mint(grant, deadline: inSeconds(20)).keyID != nil)
    }
  }

  @Test("Just after the key set was read a token of a new key is checked at once")
  func rotated() async throws {
    try await withTenant { tenant, source in
      _ = try await source.mint(grant, deadline: inSeconds(10))
      let start = Instant.now
      for _ in 0..<2 {
        try tenant.rotateKey(revokingPrevious: false)
        _ = try await source.mint(grant, deadline: inSeconds(10))
      }
      #expect(start.duration(to: .now) < FetchSchedule<KeySet>.cooldown / 2)
      #expect(tenant.statistics.mints == 3)
    }
  }

  @Test("A token whose key cannot be read is the only one that is minted until the key can be")
  func rotatedUnreadable() async throws {
    try await withTenant { tenant, source in
      _ = try await source.mint(grant, deadline: inSeconds(10))
      try tenant.rotateKey(revokingPrevious: false)
      tenant.setKeySet(.failing)
      for _ in 0..<20 {
        let error = try await refusal(source, within: 0.1)
        #expect(error.cause == .upstreamUnavailable && error.retryAfter != nil)
      }
      #expect(tenant.statistics.mints == 2)
      let held = try #require(source.held(grant))
      #expect(!held.isChecked && source.held(Grant(audience: "other")) == nil)
      let unknown = await #expect(throws: TokenError.self) {
        try await source.revalidate(for: held, grant, deadline: inSeconds(0.1))
      }
      #expect(unknown?.cause == .upstreamUnavailable)
      tenant.setKeySet(.normal)
      let token = try await source.mint(grant, deadline: inSeconds(20))
      #expect(token.accessToken == held.accessToken && source.held(grant) == nil)
      #expect(tenant.statistics.mints == 2)
    }
  }

  @Test("What is held for one holder of credentials is given to no other")
  func heldByHolder() async throws {
    try await withTenant { tenant, source in
      _ = try await source.mint(grant, deadline: inSeconds(10))
      try tenant.rotateKey(revokingPrevious: false)
      tenant.setKeySet(.failing)
      let credentials = PassThroughCredentials(clientID: tenant.clientID, secret: Secret(tenant.secrets[0].utf8))
      let holders = ["a", "b"].map { SHA256Digest(of: Array($0.utf8).span) } + [nil]
      for holder in holders + holders {
        await #expect(throws: TokenError.self) {
          try await source.mint(grant, as: credentials, holder: holder, deadline: inSeconds(0.3))
        }
      }
      #expect(tenant.statistics.mints == 1 + 4, "once for each holder, and each time for nobody in particular")
      #expect(source.held(grant) == nil)
    }
  }

  // MARK: Opaque tokens

  @Test("A token that cannot be checked is taken where that is wanted, for as long as expires_in says")
  func opaque() async throws {
    try await withTenant { tenant, source in
      for fault in [Fault.opaque, .jwe] {
        let grant = Grant(audience: fault.audience)
        #expect(try await refusal(source, grant).cause == .tokenValidationFailed)
        let token = try await source.mint(grant, verify: .opaque, deadline: inSeconds(10))
        #expect(token.keyID == nil)
        #expect(token.mintedAt.duration(to: token.expiresAt) == .seconds(86400))
      }
      #expect(tenant.statistics.keySetRequests == 0)
      let endless = try await refusal(source, Grant(audience: Fault.noExpiresIn.audience), verify: .opaque)
      #expect(endless.cause == .invalidUpstreamResponse)
    }
  }
}
