import Basics
import OAuth
import Testing

@testable import BrokerCore

@Suite struct FailureLogTests {
  private static func key(_ name: String) -> TokenKey {
    TokenKey(client: "default", grant: Grant(audience: name))
  }

  private static func at(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }

  @Test("The first failure of a kind is said, then one a minute with how many were not")
  func repeats() {
    var log = FailureLog()
    let key = Self.key("a")
    let heard = (0..<180).map { log.failed(key, .upstreamUnavailable, now: Self.at($0)) }
    #expect(heard.enumerated().filter { $1 != nil }.map { [$0, $1 ?? -1] } == [[0, 0], [60, 59], [120, 59]])
    // Another kind, and another audience, are news.
    #expect(log.failed(key, .upstreamTimeout, now: Self.at(121)) == 0)
    #expect(log.failed(key, .upstreamTimeout, now: Self.at(122)) == nil)
    #expect(log.failed(Self.key("b"), .upstreamUnavailable, now: Self.at(122)) == 0)
    #expect(log.failed(key, .upstreamUnavailable, now: Self.at(10_000)) == 59)
  }

  @Test("A token ends it: how many failures there were and for how long is said once, and what follows is news")
  func over() {
    var log = FailureLog()
    let key = Self.key("a")
    #expect(log.succeeded(key, now: Self.at(0)) == nil)
    for second in 10..<20 {
      _ = log.failed(key, second % 2 == 0 ? .upstreamTimeout : .overloaded, now: Self.at(Int64(second)))
    }
    let over = log.succeeded(key, now: Self.at(40))
    #expect(over?.failures == 10 && over?.lasted == .seconds(30))
    #expect(log.succeeded(key, now: Self.at(41)) == nil)
    #expect(log.failed(key, .upstreamTimeout, now: Self.at(42)) == 0)
  }

  @Test(
    "Whoever makes up audiences fills neither the memory nor the log, and those that failed before are still told apart"
  )
  func bounded() {
    var log = FailureLog()
    let count = FailureLog.capacity
    var said = 0
    for number in 0..<(10 * count) {
      if log.failed(Self.key("\(number)"), .unknownAudience, now: Self.at(0)) != nil { said += 1 }
    }
    #expect(said == count + 1)
    #expect(log.failed(Self.key("\(5 * count)"), .unknownAudience, now: Self.at(60)) == 9 * count - 1)
    #expect(log.succeeded(Self.key("\(5 * count)"), now: Self.at(61)) == nil)
    #expect(log.succeeded(Self.key("7"), now: Self.at(61))?.failures == 1)
    // An hour later there is room again.
    #expect(log.failed(Self.key("x"), .unknownAudience, now: Self.at(3700)) == 0)
    #expect(log.failed(Self.key("y"), .unknownAudience, now: Self.at(3700)) == 0)
    #expect(log.succeeded(Self.key("8"), now: Self.at(3701)) == nil)
  }
}
