import Basics
import OAuth
import Synchronization
import Testing

@testable import BrokerCore

/// A token that one broker of a fleet has minted and cannot check.
@Suite(.timeLimit(.minutes(1))) struct HeldTokenSharingTests {
  private let key = TokenKey(client: "shared", grant: Grant(audience: "https://api/"))

  /// A broker whose keys cannot be read before `hasKeys`; it holds what it has minted itself.
  private final class Minter: TokenMinter {
    struct State {
      var hasKeys = false
      var mints = 0
      var held: StoredToken?
    }

    let state = Mutex(State())
    private let vault = Vault(secrets: [Secret("secret".utf8)], identity: [])
    private let noKeys = TokenError(cause: .upstreamUnavailable, message: "no keys", retryAfter: .seconds(9))

    func vault(of client: UpstreamID) -> Vault? { vault }
    var events: AsyncStream<UpstreamEvent> { AsyncStream { $0.finish() } }
    func pollKeySets(holders: Set<UpstreamID>) async {}
    func held(_ key: TokenKey) -> StoredToken? { state.withLock(\.held) }
    func forget(_ key: TokenKey) { state.withLock { $0.held = nil } }

    func mint(
      _ key: TokenKey, as credentials: PassThroughCredentials?, in trace: TraceContext?, deadline: Instant
    ) async throws(TokenError) -> MintedToken {
      state.withLock { state in
        state.mints += 1
        let now = WallClock.now
        state.held = StoredToken(
          accessToken: AccessToken("minted"), scope: "s", mintedAt: now, expiresAt: now + 600, isChecked: false)
      }
      throw noKeys
    }

    func revalidate(
      _ stored: StoredToken, for key: TokenKey, deadline: Instant
    ) async throws(TokenError) -> MintedToken {
      if !stored.isChecked, !state.withLock(\.hasKeys) { throw noKeys }
      return MintedToken(stored, keyID: "k", expiry: nil, now: .now, wallNow: WallClock.now)
    }
  }

  private func fetch(_ tokens: SharedTokens, _ minter: Minter) async throws(TokenError) -> MintedToken {
    let deadline = Instant.now.advanced(by: .seconds(10))
    return try await tokens.fetch(
      key, holding: nil, minRemaining: .seconds(30), deadline: deadline
    ) { () async throws(TokenError) in try await minter.mint(key, as: nil, in: nil, deadline: deadline) }
  }

  @Test("Others mint none while it cannot be checked, and whoever can check it first has it for all")
  func held() async throws {
    let store = MemoryStore()
    let minters = (0..<3).map { _ in Minter() }
    let brokers = minters.map { SharedTokens(store, minter: $0, log: .silent) }
    for (broker, minter) in zip(brokers + brokers, minters + minters) {
      await #expect(throws: TokenError.self) { try await fetch(broker, minter) }
      await broker.close()
    }
    #expect(minters.map { $0.state.withLock(\.mints) } == [1, 0, 0])
    #expect(await brokers[1].load(key).failure?.retryAfter == .seconds(9))
    minters[1].state.withLock { $0.hasKeys = true }
    let token = try await fetch(brokers[1], minters[1])
    #expect(token.accessToken.value == "minted" && token.scope == "s" && token.isFromStore)
    #expect(minters.map { $0.state.withLock(\.mints) } == [1, 0, 0])
  }
}
