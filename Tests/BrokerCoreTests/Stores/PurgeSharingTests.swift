import Basics
import OAuth
import Synchronization
import Testing

@testable import BrokerCore

/// Tokens that an operator throws away, where others may have them, too.
@Suite(.timeLimit(.minutes(1))) struct PurgeSharingTests {
  private let key = TokenKey(client: "shared", grant: Grant(audience: "https://api/"))

  @Test("A token that is taken from the store while it is being thrown out of it is thrown away as well")
  func meanwhile() async throws {
    let mints = Atomic(0)
    let broker = Mutex<Broker?>(nil)
    let store = MemoryStore(willMark: { [key] in
      let broker = broker.withLock { $0 }
      let token = try? await broker?.token(key)
      #expect(token?.minted.accessToken.value == "1", "the store still has it")
    })
    func start() -> Broker {
      let minter = TrustingMinter { mintedToken("\(mints.add(1, ordering: .relaxed).newValue)") }
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
