import Basics
import OAuth
import Testing

@testable import BrokerCore

@Suite struct FlightWindowTests {
  private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: 1_000_000_000 + milliseconds * 1_000_000) }

  private func window(first: Int = 4, most: Int = 16) -> FlightWindow {
    var rules = ClientGate.Rules()
    (rules.firstConcurrent, rules.maxConcurrent) = (first, most)
    return FlightWindow(rules: rules, now: at(0))
  }

  private func grown(to size: Int) -> FlightWindow {
    var window = window()
    while window.size < size { window.succeeded(took: .milliseconds(50), wasFull: true, now: at(100)) }
    return window
  }

  @Test("Each token that comes while as many are in flight as may be makes room for one more, up to the most")
  func growth() {
    var window = window()
    let sizes = (0..<14).map { _ in
      window.succeeded(took: .milliseconds(50), wasFull: true, now: at(100))
      return window.size
    }
    #expect(sizes == [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 16, 16])
  }

  @Test("A token that comes while another could have been asked for makes no room")
  func unused() {
    var window = window()
    window.succeeded(took: .milliseconds(50), wasFull: false, now: at(100))
    #expect(window.size == 4)
  }

  @Test("An answer that takes more than twice as long as the quickest makes no room")
  func slow() {
    var window = window()
    window.succeeded(took: .milliseconds(50), wasFull: true, now: at(100))
    window.succeeded(took: .milliseconds(101), wasFull: true, now: at(100))
    #expect(window.size == 5)
    window.succeeded(took: .milliseconds(100), wasFull: true, now: at(100))
    #expect(window.size == 6)
  }

  @Test(
    "A limit, a fault or a timeout takes the room back to what it was; what is said of one key does not",
    arguments: [
      (.upstreamRateLimited, 4), (.upstreamUnavailable, 4), (.upstreamTimeout, 4), (.upstreamGlitch, 4),
      (.unknownAudience, 12), (.audienceNotGranted, 12), (.invalidCaller, 12), (.brokerMisconfigured, 12),
    ] as [(TokenError.Cause, Int)])
  func trouble(_ cause: TokenError.Cause, _ expected: Int) {
    var window = grown(to: 12)
    window.failed(cause, now: at(200))
    #expect(window.size == expected)
  }

  @Test("After a minute without an answer nothing is known of the tenant any more")
  func silence() {
    var window = grown(to: 12)
    window.sent(now: at(60_100))
    #expect(window.size == 12)
    window.sent(now: at(60_101))
    #expect(window.size == 4)
  }

  @Test("A most that is set is kept, from the start and when it is set later")
  func ceiling() {
    #expect(window(first: 32, most: 3).size == 3)
    var window = grown(to: 12)
    var rules = ClientGate.Rules()
    (rules.firstConcurrent, rules.maxConcurrent) = (4, 8)
    window.configure(rules)
    #expect(window.size == 8)
  }

  @Test("A thousand cold audiences are asked for within 12 times of the tenant's, of which each takes 50 ms")
  func cold() {
    var cache = TokenCache()
    let keys = (0..<1000).map { TokenKey(client: "default", grant: Grant(audience: "\($0)")) }
    var (fetches, rounds) = ([TokenKey](), 0)
    func take(_ actions: [TokenCache.Action]) {
      for case .fetch(let key) in actions { fetches.append(key) }
    }
    for (number, key) in keys.enumerated() {
      take(cache.request(key, Demand(), waiter: UInt64(number), deadline: at(30_000), now: at(0)))
    }
    #expect(fetches.count == 16, "half of what may be in flight at first")
    while !fetches.isEmpty {
      rounds += 1
      let (answered, now) = (fetches, at(Int64(50 * rounds)))
      fetches = []
      for key in answered { take(cache.fetched(key, .success(mintedToken("\(key.audience)", at: now)), now: now)) }
    }
    #expect(rounds <= 12)
    #expect(cache.tokens.count == 1000)
  }
}
