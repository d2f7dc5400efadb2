import Basics
import Testing

@Suite struct RateLimiterTests {
  private static let start = Instant(nanoseconds: 1_000_000_000_000)

  private static func admitted(_ limiter: inout RateLimiter, of count: Int, after time: Duration = .zero) -> Int {
    (0..<count).count { _ in limiter.admit(now: start.advanced(by: time)) == nil }
  }

  @Test("A burst is admitted at once, and then one an interval")
  func burst() {
    var limiter = RateLimiter(burst: 100, perSecond: 20)
    #expect(Self.admitted(&limiter, of: 200) == 100)
    #expect(limiter.admit(now: Self.start) == .milliseconds(50))
    #expect(Self.admitted(&limiter, of: 10, after: .milliseconds(49)) == 0)
    #expect(Self.admitted(&limiter, of: 10, after: .milliseconds(50)) == 1)
    #expect(Self.admitted(&limiter, of: 10, after: .milliseconds(149)) == 1)
    #expect(Self.admitted(&limiter, of: 10, after: .milliseconds(150)) == 1)
  }

  @Test("However long it was quiet, no more than a burst is saved up")
  func quiet() {
    var limiter = RateLimiter(burst: 5, perSecond: 1)
    #expect(Self.admitted(&limiter, of: 10) == 5)
    #expect(Self.admitted(&limiter, of: 10, after: .seconds(1000)) == 5)
  }

  @Test("What is refused is not counted, so asking in vain costs no time")
  func refused() {
    var limiter = RateLimiter(burst: 1, perSecond: 1)
    #expect(Self.admitted(&limiter, of: 1000) == 1)
    #expect(limiter.admit(now: Self.start) == .seconds(1))
    #expect(limiter.admit(now: Self.start.advanced(by: .seconds(1))) == nil)
  }

  @Test("A clock that goes back gives nothing for the same time twice")
  func clockBack() {
    var limiter = RateLimiter(burst: 2, perSecond: 1)
    #expect(Self.admitted(&limiter, of: 5, after: .seconds(10)) == 2)
    #expect(Self.admitted(&limiter, of: 5) == 0)
    #expect(Self.admitted(&limiter, of: 5, after: .seconds(11)) == 1)
  }

  @Test("What is given back can be used again, and no more than a burst of it")
  func give() {
    var limiter = RateLimiter(burst: 4, perSecond: 1)
    #expect(Self.admitted(&limiter, of: 10) == 4)
    limiter.give(3)
    #expect(Self.admitted(&limiter, of: 10) == 3)
    limiter.give(1000)
    #expect(Self.admitted(&limiter, of: 10) == 4)
    limiter.give(.max / 1_000_000_000)
    limiter.give(.max / 1_000_000_000)
    #expect(Self.admitted(&limiter, of: 10) == 4)
  }

  @Test("A minute's worth is admitted at once, and then one at a time", arguments: [1, 7, 60, 1000])
  func perMinute(_ count: Int) {
    var limiter = RateLimiter(perMinute: count)
    #expect(Self.admitted(&limiter, of: 2 * count) == count)
    #expect(Self.admitted(&limiter, of: 2 * count, after: .seconds(60)) == count)
  }

  @Test("A limiter is idle as long as nothing was counted, and again when the last is due")
  func idle() {
    var limiter = RateLimiter(perMinute: 60)
    #expect(limiter.isIdle(now: Self.start))
    _ = limiter.admit(now: Self.start)
    #expect(!limiter.isIdle(now: Self.start.advanced(by: .milliseconds(999))))
    #expect(limiter.isIdle(now: Self.start.advanced(by: .seconds(1))))
  }

  @Test("A shared limiter decides as an unshared one")
  func shared() {
    let shared = SharedRateLimiter(perMinute: 60)
    var own = RateLimiter(perMinute: 60)
    for step in 0..<1000 {
      let now = Self.start.advanced(by: .milliseconds(step * step % 700 + 100 * step))
      #expect(shared.admit(now: now) == own.admit(now: now))
    }
  }

  @Test("Many threads at once are admitted as often as one would be")
  func threads() async {
    let limiter = SharedRateLimiter(perMinute: 1000)
    let admitted = await withTaskGroup { group in
      for _ in 0..<8 {
        group.addTask { (0..<1000).count { _ in limiter.admit(now: Self.start) == nil } }
      }
      return await group.reduce(0, +)
    }
    #expect(admitted == 1000)
  }

  @Test("What is charged beyond a burst is made up for before one more is admitted")
  func debt() {
    var limiter = RateLimiter(burst: 10, perMinute: 60)
    for _ in 0..<10 {
      #expect(limiter.wait(now: Self.start) == nil)
      limiter.charge(now: Self.start)
    }
    #expect(limiter.wait(now: Self.start) == .seconds(1))
    limiter.charge(now: Self.start)
    #expect(limiter.wait(now: Self.start.advanced(by: .seconds(1))) == .seconds(1))
    #expect(limiter.wait(now: Self.start.advanced(by: .seconds(2))) == nil)
  }
}
