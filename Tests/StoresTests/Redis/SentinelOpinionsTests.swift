import Basics
import Testing

@testable import Stores

@Suite struct SentinelOpinionsTests {
  private let a = RedisSettings.Server.tcp(host: "a", port: 1)
  private let b = RedisSettings.Server.tcp(host: "b", port: 1)
  private let start = Instant.now
  private func later(_ seconds: Int) -> Instant { start.advanced(by: .seconds(seconds)) }

  @Test("The Sentinel that knows of the latest switch is believed, whatever the others say later")
  func newest() {
    var opinions = SentinelOpinions(of: 3)
    opinions.note(a, epoch: 1, by: 0, at: start)
    #expect(opinions.primary == a)
    opinions.note(b, epoch: 2, by: 1, at: start)
    #expect(opinions.primary == b)
    opinions.note(a, epoch: 1, by: 0, at: later(1))
    opinions.note(a, epoch: 1, by: 2, at: later(1))
    #expect(opinions.primary == b)
  }

  @Test("Of two that know as much, the one that names the present primary is believed")
  func tie() {
    var opinions = SentinelOpinions(of: 3)
    opinions.note(b, epoch: 1, by: 2, at: start)
    opinions.note(a, epoch: 1, by: 0, at: start)
    #expect(opinions.primary == b)
  }

  @Test("An answer that was under way when a switch was told does not undo it")
  func lateAnswer() {
    var opinions = SentinelOpinions(of: 3)
    for sentinel in 0..<3 { opinions.note(a, epoch: 1, by: sentinel, at: start) }
    opinions.noteSwitch(from: a, to: b, by: 1, at: later(1))
    #expect(opinions.primary == b)
    for sentinel in 0..<3 { opinions.note(a, epoch: 1, by: sentinel, at: later(1)) }
    #expect(opinions.primary == b)
  }

  @Test("A switch counts that is told by a Sentinel which has not been asked yet")
  func unaskedSentinel() {
    var opinions = SentinelOpinions(of: 3)
    opinions.note(a, epoch: 1, by: 0, at: start)
    opinions.noteSwitch(from: a, to: b, by: 1, at: start)
    #expect(opinions.primary == b)
  }

  @Test("A switch that was answered before it is told counts once")
  func toldAfterAnswer() {
    var opinions = SentinelOpinions(of: 3)
    opinions.note(a, epoch: 1, by: 0, at: start)
    opinions.note(b, epoch: 2, by: 0, at: start)
    opinions.noteSwitch(from: a, to: b, by: 0, at: start)
    opinions.note(a, epoch: 3, by: 0, at: start)
    #expect(opinions.primary == a)
  }

  @Test("A switch that a Sentinel tells late is not believed")
  func lateSwitch() {
    var opinions = SentinelOpinions(of: 3)
    opinions.note(a, epoch: 5, by: 0, at: start)
    opinions.note(a, epoch: 1, by: 1, at: start)
    opinions.noteSwitch(from: a, to: b, by: 1, at: start)
    #expect(opinions.primary == a)
  }

  @Test("What is not repeated counts no more after a while, so that Sentinels can be made anew")
  func forgotten() {
    var opinions = SentinelOpinions(of: 1)
    opinions.note(a, epoch: 9, by: 0, at: start)
    opinions.note(b, epoch: 0, by: 0, at: later(9))
    #expect(opinions.primary == a)
    opinions.note(b, epoch: 0, by: 0, at: later(10))
    #expect(opinions.primary == b)
  }

  @Test("A Sentinel that has missed a switch is not believed when those that told of it are silent, but most are")
  func missedSwitch() {
    var opinions = SentinelOpinions(of: 3)
    opinions.note(b, epoch: 2, by: 0, at: start)
    for second in 0...20 { opinions.note(a, epoch: 1, by: 1, at: later(second)) }
    #expect(opinions.primary == b)
    opinions.noteSwitch(from: b, to: a, by: 1, at: later(20))
    #expect(opinions.primary == b)
    opinions.note(a, epoch: 0, by: 2, at: later(21))
    #expect(opinions.primary == a)
    opinions.note(b, epoch: 2, by: 0, at: later(22))
    #expect(opinions.primary == b)
  }
}
