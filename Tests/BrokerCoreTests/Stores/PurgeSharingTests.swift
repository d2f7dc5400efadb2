import Basics
import OAuth
import Synchronization
import Testing

@testable import BrokerCore

/// Tokens that an operator throws away, where others may have them, too.
@Suite(.timeLimit(.minutes(1))) struct PurgeSharingTests {
  /// Takes what a store has for good.
  private struct Minter: TokenMinter {
    let answer: @Sendable () -> MintedToken
    private let vault = Vault(secrets: [Secret("secret".utf8)], identity: [])

    init(_ answer: @escaping @Sendable () -> MintedToken) { self.answer = answer }

    func mint(
      _ key: TokenKey, as credentials: PassThroughCredentials?, in trace: TraceContext?, deadline: Instant
    ) async throws(TokenError) -> MintedToken { answer() }

    func revalidate(
      _ stored: StoredToken, for key: TokenKey, deadline: Instant
    ) async throws(TokenError) -> MintedToken {
      MintedToken(stored, keyID: "k", expiry: nil, now: .now, wallNow: WallClock.now)
    }

    func held(_ key: TokenKey) -> StoredToken? { nil }
    func forget(_ key: TokenKey) {}
    func vault(of client: UpstreamID) -> Vault? { vault }
    var events: AsyncStream<UpstreamEvent> { AsyncStream { $0.finish() } }
    func pollKeySets(holders: Set<UpstreamID>) async {}
  }

  private let key = TokenKey(client: "shared", grant: Grant(audience: "https://api/"))

  @Test("A token that is taken from the store while it is being thrown out of it is thrown away as well")
  func meanwhile() async throws {
    let mints = Atomic(0)
    let broker = Mutex<Broker?>(nil)
    let store = MemoryStore(willRemove: { [key] in
      let broker = broker.withLock { $0 }
      let token = try? await broker?.token(key)
      #expect(token?.minted.accessToken.value == "1", "the store still has it")
    })
    func start() -> Broker {
      let minter = Minter { mintedToken("\(mints.add(1, ordering: .relaxed).newValue)") }
      return Broker(
        requestTimeout: .seconds(10), minter: minter, shared: SharedTokens(store, minter: minter, log: .silent),
        health: Health(), log: .silent)
    }
    #expect(try await start().token(key).minted.accessToken.value == "1")
    let other = start()
    broker.withLock { $0 = other }
    let purge = await other.purge(listed: [key]) { $0 == key }
    #expect(purge.isStoreCleared == true)
    #expect(try await other.token(key).minted.accessToken.value == "2")
  }
}
