import Basics
import OAuth
import Testing

@testable import BrokerCore

/// Tokens that an operator throws away.
@Suite struct PurgeTests {
  private let start = Instant.now
  private let key = TokenKey(client: "default", grant: Grant(audience: "https://api/"))
  private let other = TokenKey(client: "other", grant: Grant(audience: "https://other/"))

  private func at(_ seconds: Double) -> Instant { start.advanced(by: .seconds(seconds)) }

  private func say(_ actions: [TokenCache.Action]) -> [String] { actions.map(\.said) }

  private func ask(_ cache: inout TokenCache, _ waiter: UInt64, at seconds: Double, key: TokenKey? = nil) -> [String] {
    say(cache.request(key ?? self.key, Demand(), waiter: waiter, deadline: at(seconds + 30), now: at(seconds)))
  }

  private func answer(
    _ cache: inout TokenCache, _ name: String, at seconds: Double, key: TokenKey? = nil
  ) -> [String] {
    say(cache.fetched(key ?? self.key, .success(mintedToken(name, at: at(seconds))), now: at(seconds)))
  }

  private func purge(
    _ cache: inout TokenCache, at seconds: Double, _ isMeant: (TokenKey) -> Bool = { _ in true }
  ) -> (purge: Purge, said: [String]) {
    let keys = cache.purgeable(now: at(seconds), isMeant)
    let (purge, actions) = cache.purge(keys, now: at(seconds))
    return (purge, say(actions))
  }

  private func holding(_ keys: [TokenKey]) -> TokenCache {
    var cache = TokenCache()
    for key in keys {
      _ = ask(&cache, 1, at: 0, key: key)
      _ = answer(&cache, "old", at: 0, key: key)
    }
    return cache
  }

  @Test("A token that is thrown away is withdrawn at once, and whoever asks next is given a new one")
  func dropped() {
    var cache = holding([key, other])
    let (purge, said) = purge(&cache, at: 1) { $0 == key }
    #expect(said == ["withdraw https://api/"])
    #expect(purge.dropped == 1 && purge.mints == 1)
    #expect(ask(&cache, 2, at: 1, key: other) == ["2=old"], "nobody else's is touched")
    #expect(ask(&cache, 3, at: 1) == ["fetch"])
    #expect(answer(&cache, "new", at: 2) == ["publish new", "3=new"])
  }

  @Test("Throwing away again and again costs one mint in minRefreshInterval")
  func floor() {
    var cache = holding([key])
    _ = purge(&cache, at: 1)
    _ = ask(&cache, 2, at: 1)
    _ = answer(&cache, "new", at: 2)
    for second in 3..<31 {
      #expect(cache.freshCount(now: at(Double(second))) { _ in true } == 1)
      #expect(purge(&cache, at: Double(second)).purge == Purge())
      #expect(ask(&cache, 3, at: Double(second)) == ["3=new"])
    }
    #expect(purge(&cache, at: 31).purge.dropped == 1)
  }

  @Test("A token under way is given to those who wait for it, and is not kept")
  func underWay() {
    var cache = TokenCache()
    _ = ask(&cache, 1, at: 0)
    let (purge, _) = purge(&cache, at: 1)
    #expect(purge.dropped == 0 && purge.mints == 1)
    #expect(answer(&cache, "old", at: 2) == ["1=old"])
    #expect(ask(&cache, 2, at: 2) == ["fetch"])
  }

  @Test("A remembered refusal is forgotten")
  func refusal() {
    var cache = TokenCache()
    _ = ask(&cache, 1, at: 0)
    let error = TokenError(cause: .audienceNotGranted, message: "no grant")
    _ = cache.fetched(key, .failure(error), now: at(0))
    #expect(ask(&cache, 2, at: 1) == ["2=audience_not_granted"])
    #expect(purge(&cache, at: 2).purge == Purge(), "there was no token")
    #expect(ask(&cache, 3, at: 2) == ["fetch"])
  }

  @Test("A prefetched token is asked for at once")
  func prefetched() {
    var cache = TokenCache()
    _ = cache.configure(TokenCache.Rules(), prefetched: [key], now: at(0))
    _ = answer(&cache, "old", at: 0)
    #expect(purge(&cache, at: 1).said == ["withdraw https://api/", "fetch"])
  }

  @Test("The token that was thrown away is not taken back from a store, but a newer one is")
  func store() {
    var cache = TokenCache(hasStore: true)
    func find(_ name: String, minted: Double, at seconds: Double) -> [String] {
      let token = mintedToken(name, at: at(minted), isFromStore: true)
      return say(cache.fetched(key, .success(token), now: at(seconds)))
    }
    #expect(ask(&cache, 1, at: 0) == ["fetch"])
    #expect(find("old", minted: 0, at: 0) == ["publish old", "1=old"])
    _ = purge(&cache, at: 5)
    #expect(ask(&cache, 2, at: 6) == ["fetch"])
    #expect(find("old", minted: 0, at: 6) == ["fetch"])
    #expect(cache.newest(key)?.accessToken == AccessToken("old"), "nor while others have the claim")
    let new = mintedToken("new", at: at(6.5), isFromStore: true)
    #expect(say(cache.fetched(key, .success(new), now: at(7))) == ["publish new", "2=new"])
  }

  @Test("What was thrown away is forgotten with the end of its life")
  func memory() {
    var cache = holding([key])
    _ = purge(&cache, at: 1)
    _ = cache.advance(now: at(3599))
    #expect(cache.count == 1)
    _ = cache.advance(now: at(3601))
    #expect(cache.count == 0)
  }
}
