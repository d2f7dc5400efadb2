import Basics
import OAuth
import Testing

@Suite struct FetchScheduleTests {
  private let start = Instant.now
  private func at(_ seconds: Double) -> Instant { start.advanced(by: .seconds(seconds)) }

  @Test("A set is fresh for five minutes, and an unknown key refetches it once in thirty seconds")
  func freshness() {
    var schedule = FetchSchedule<String>()
    #expect(schedule.wantsFetch(isKnown: false, now: at(0)))
    schedule.fetched("", asked: at(0))
    #expect(!schedule.wantsFetch(isKnown: false, now: at(29.9)))
    #expect(schedule.wantsFetch(isKnown: false, now: at(30)))
    #expect(!schedule.wantsFetch(isKnown: true, now: at(299)))
    #expect(schedule.wantsFetch(isKnown: true, now: at(300)))
  }

  @Test("An unknown key of a token from elsewhere is settled by a set that is as new, and else waits for the cooldown")
  func shown() {
    var schedule = FetchSchedule<String>()
    #expect(schedule.step(.shown(since: at(0)), isKnown: false, now: at(0)) == .fetch)
    schedule.fetched("a", asked: at(1))
    for since in [nil, at(0), at(1)] {
      #expect(schedule.step(.shown(since: since), isKnown: true, now: at(2)) == .settled)
      #expect(schedule.step(.shown(since: since), isKnown: false, now: at(2)) == .settled)
    }
    #expect(schedule.step(.shown(since: at(2)), isKnown: false, now: at(3)) == .wait(until: at(31)))
    #expect(schedule.step(.shown(since: at(2)), isKnown: false, now: at(31)) == .fetch)
    schedule.failed(now: at(31))
    #expect(schedule.step(.shown(since: at(2)), isKnown: false, now: at(31.1)) == .wait(until: at(31.25)))
  }

  /// The times at which the set is read for a token of the server's own that was asked for at `asked`, and whose key
  /// is never in it.
  private func reads(_ schedule: inout FetchSchedule<String>, asked: Double) -> [Double] {
    var (reads, now) = ([Double](), at(asked))
    while reads.count < 100 {
      switch schedule.step(.issued(at(asked)), isKnown: false, now: now) {
      case .fetch:
        schedule.fetched("a", asked: now)
        reads.append((start.duration(to: now) / .milliseconds(1)).rounded() / 1000)
      case .wait(let instant): now = instant
      case .settled: return reads
      }
    }
    return reads
  }

  @Test("For an unknown key of a token just issued the set is read at once, then after a quarter of a second, doubling")
  func issued() {
    var schedule = FetchSchedule<String>()
    schedule.fetched("a", asked: at(0))
    #expect(reads(&schedule, asked: 2) == [2, 2.5, 3.5])
    schedule = FetchSchedule()
    schedule.fetched("a", asked: at(0))
    #expect(reads(&schedule, asked: 100) == [100, 100.25, 100.75, 101.75])
  }

  @Test("Tokens just issued whose keys are never published have the set read ever more rarely, up to the cooldown")
  func issuedInVain() {
    var schedule = FetchSchedule<String>()
    var (all, asked) = ([Double](), 0.0)
    while asked < 600 {
      let reads = reads(&schedule, asked: asked)
      all += reads
      asked = (reads.last ?? asked) + 0.1
    }
    #expect(all.count(where: { $0 > 60 }) <= 2 * 600 / 30, "\(all)")
    // After a quiet minute a token is believed again.
    #expect(reads(&schedule, asked: 700).prefix(2) == [700, 700.25])
  }

  @Test("A known key is settled for a token just issued, whatever else is being read")
  func issuedKnown() {
    var schedule = FetchSchedule<String>()
    schedule.fetched("a", asked: at(0))
    #expect(schedule.step(.issued(at(10)), isKnown: true, now: at(10)) == .settled)
    schedule.failed(now: at(10))
    #expect(schedule.step(.issued(at(10)), isKnown: true, now: at(20)) == .settled)
  }

  @Test("The wait that a failing server asks for is kept, up to an hour", arguments: [(5, 5), (100_000, 3600)])
  func retryAfter(_ told: Int, _ expected: Double) {
    var schedule = FetchSchedule<String>()
    schedule.failed(now: at(0), retryAfter: .seconds(told))
    for need in [FetchSchedule<String>.Need.shown(), .issued(at(0))] {
      #expect(schedule.step(need, isKnown: false, now: at(1)) == .wait(until: at(expected)))
      #expect(schedule.step(need, isKnown: false, now: at(expected)) == .fetch)
    }
  }

  @Test("A poll fetches what is no longer fresh, and what was never read only if it is needed")
  func poll() {
    var schedule = FetchSchedule<String>()
    #expect(!schedule.wantsPoll(isNeeded: false, now: at(0)))
    #expect(schedule.wantsPoll(isNeeded: true, now: at(0)))
    schedule.fetched("a", asked: at(0))
    for isNeeded in [false, true] {
      #expect(!schedule.wantsPoll(isNeeded: isNeeded, now: at(299)))
      #expect(schedule.wantsPoll(isNeeded: isNeeded, now: at(300)))
    }
  }

  @Test("While the endpoint fails the old set is kept, and it is asked ever more rarely")
  func failures() throws {
    var schedule = FetchSchedule<String>()
    schedule.fetched("a", asked: at(0))
    var now = 300.0
    var waits: [Double] = []
    for _ in 0..<10 {
      schedule.failed(now: at(now))
      #expect(schedule.current != nil && schedule.isFailing)
      let next = try #require(schedule.nextFetch())
      #expect(!schedule.wantsFetch(isKnown: true, now: next.advanced(by: .nanoseconds(-1))))
      #expect(schedule.wantsFetch(isKnown: true, now: next))
      let wait = at(now).duration(to: next) / .seconds(1)
      waits.append(wait)
      now += wait
    }
    #expect(waits == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30, 30])
    schedule.fetched("a", asked: at(now))
    #expect(!schedule.isFailing)
    schedule.failed(now: at(now + 300))
    #expect(schedule.nextFetch() == at(now + 300.25))
  }
}
