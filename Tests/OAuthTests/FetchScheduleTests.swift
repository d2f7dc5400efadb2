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
    schedule.fetched("", now: at(0))
    #expect(!schedule.wantsFetch(isKnown: false, now: at(29.9)))
    #expect(schedule.wantsFetch(isKnown: false, now: at(30)))
    #expect(!schedule.wantsFetch(isKnown: true, now: at(299)))
    #expect(schedule.wantsFetch(isKnown: true, now: at(300)))
  }

  @Test("An unknown key of a token older than the set is settled")
  func olderToken() {
    var schedule = FetchSchedule<String>()
    #expect(schedule.step(isKnown: false, asked: at(0), now: at(0)) == .fetch)
    schedule.fetched("a", now: at(1))
    #expect(schedule.step(isKnown: true, asked: at(0), now: at(2)) == .settled)
    #expect(schedule.step(isKnown: false, asked: at(0), now: at(2)) == .settled)
  }

  @Test("An unknown key of a token newer than the set waits until the set may be read again")
  func newerToken() {
    var schedule = FetchSchedule<String>()
    schedule.fetched("a", now: at(1))
    #expect(schedule.step(isKnown: false, asked: at(2), now: at(3)) == .wait(until: at(31)))
    #expect(schedule.step(isKnown: false, asked: at(2), now: at(31)) == .fetch)
    schedule.failed(now: at(31))
    #expect(schedule.step(isKnown: false, asked: at(2), now: at(31.1)) == .wait(until: at(31.25)))
  }

  @Test("A poll fetches what is no longer fresh, and what was never read only if it is needed")
  func poll() {
    var schedule = FetchSchedule<String>()
    #expect(!schedule.wantsPoll(isNeeded: false, now: at(0)))
    #expect(schedule.wantsPoll(isNeeded: true, now: at(0)))
    schedule.fetched("a", now: at(0))
    for isNeeded in [false, true] {
      #expect(!schedule.wantsPoll(isNeeded: isNeeded, now: at(299)))
      #expect(schedule.wantsPoll(isNeeded: isNeeded, now: at(300)))
    }
  }

  @Test("While the endpoint fails the old set is kept, and it is asked ever more rarely")
  func failures() throws {
    var schedule = FetchSchedule<String>()
    schedule.fetched("a", now: at(0))
    var now = 300.0
    var waits: [Double] = []
    for _ in 0..<10 {
      schedule.failed(now: at(now))
      #expect(schedule.current != nil && schedule.isFailing)
      let next = try #require(schedule.nextFetch)
      #expect(!schedule.wantsFetch(isKnown: true, now: next.advanced(by: .nanoseconds(-1))))
      #expect(schedule.wantsFetch(isKnown: true, now: next))
      let wait = at(now).duration(to: next) / .seconds(1)
      waits.append(wait)
      now += wait
    }
    #expect(waits == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30, 30])
    schedule.fetched("a", now: at(now))
    #expect(!schedule.isFailing)
    schedule.failed(now: at(now + 300))
    #expect(schedule.nextFetch == at(now + 300.25))
  }
}
