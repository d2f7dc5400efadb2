import Basics
import Testing

@testable import IO

@Suite struct TimerWheelTests {
  private let start = Instant.now

  private func expired(_ wheel: inout TimerWheel, at offset: Duration) -> [Int] {
    var due: [Int] = []
    wheel.expire(now: start.advanced(by: offset), into: &due)
    return due.sorted()
  }

  @Test("A deadline fires once, never early and at most a tick late")
  func fires() {
    var wheel = TimerWheel(now: start, tick: .milliseconds(50))
    wheel.set(3, start.advanced(by: .milliseconds(120)))
    #expect(wheel.next().map { start.duration(to: $0) } == .milliseconds(150))
    #expect(expired(&wheel, at: .milliseconds(119)) == [])
    #expect(expired(&wheel, at: .milliseconds(170)) == [3])
    #expect(expired(&wheel, at: .seconds(600)) == [])
    #expect(wheel.next() == nil)
  }

  @Test("Moving and clearing a deadline leaves nothing behind")
  func moves() {
    var wheel = TimerWheel(now: start)
    for slot in 0..<4 { wheel.set(slot, start.advanced(by: .milliseconds(100))) }
    wheel.set(1, start.advanced(by: .seconds(5)))
    wheel.set(2, nil)
    #expect(expired(&wheel, at: .milliseconds(200)) == [0, 3])
    #expect(expired(&wheel, at: .milliseconds(5100)) == [1])
  }

  @Test("A deadline beyond the wheel's turn fires in its own turn")
  func farAway() {
    var wheel = TimerWheel(now: start, tick: .milliseconds(50))
    wheel.set(0, start.advanced(by: .seconds(300)))
    for second in 1..<300 { #expect(expired(&wheel, at: .seconds(second)) == []) }
    #expect(expired(&wheel, at: .milliseconds(300_100)) == [0])
  }

  @Test("A deadline in the past fires at the next tick")
  func past() {
    var wheel = TimerWheel(now: start)
    #expect(expired(&wheel, at: .seconds(10)) == [])
    wheel.set(7, start)
    #expect(expired(&wheel, at: .milliseconds(10_100)) == [7])
  }

  @Test("Deadlines set, moved and cleared at random fire exactly when they are due")
  func history() {
    var random = SystemRandomNumberGenerator()
    var wheel = TimerWheel(now: start, tick: .milliseconds(10))
    var deadlines: [Int: Int] = [:]
    var now = 0
    for _ in 0..<5000 {
      let slot = Int.random(in: 0..<50, using: &random)
      switch Int.random(in: 0..<4, using: &random) {
      case 0:
        wheel.set(slot, nil)
        deadlines[slot] = nil
      case 1:
        now += Int.random(in: 0..<2000, using: &random)
        let due = expired(&wheel, at: .milliseconds(now))
        for slot in due { #expect(deadlines.removeValue(forKey: slot).map { $0 <= now } == true) }
        #expect(deadlines.values.allSatisfy { $0 > now - 10 })
      default:
        let deadline = now + Int.random(in: 0..<30_000, using: &random)
        wheel.set(slot, start.advanced(by: .milliseconds(deadline)))
        deadlines[slot] = deadline
      }
    }
  }
}
