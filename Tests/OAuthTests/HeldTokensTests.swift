import Basics
import OAuth
import Testing

@Suite struct HeldTokensTests {
  private let start = Instant.now
  private func at(_ seconds: Double) -> Instant { start.advanced(by: .seconds(seconds)) }

  @Test(
    "A token is held until an eighth of its life is left", arguments: [(800, 700), (nil, 3150)] as [(Double?, Double)])
  func life(_ end: Double?, _ until: Double) {
    var held = HeldTokens<String, String>()
    held.hold("t", for: "a", asked: at(0), end: end.map(at), now: at(1))
    #expect(held.token("a", now: at(until - 0.1)) == "t" && held.token("b", now: at(1)) == nil)
    #expect(held.token("a", now: at(until)) == nil)
  }

  @Test("Of more tokens than there is room for those that end make room, and else the newest is let go")
  func capacity() {
    var held = HeldTokens<Int, String>(capacity: 2)
    for key in 0..<3 { held.hold("t", for: key, asked: at(0), end: at(Double(8 + key)), now: at(0)) }
    #expect((0..<3).map { held.token($0, now: at(1)) != nil } == [true, true, false])
    held.hold("t", for: 2, asked: at(7.5), end: at(100), now: at(7.5))
    #expect((0..<3).map { held.token($0, now: at(7.5)) != nil } == [false, true, true])
  }

  @Test(
    "A token is let go once one is known that was asked for later, or at the same time",
    arguments: [(9, false), (10, true), (20, true)])
  func superseded(_ other: Double, _ isReleased: Bool) {
    var held = HeldTokens<String, String>()
    held.hold("t", for: "a", asked: at(10), end: at(100), now: at(10))
    held.release("a", askedBy: at(other))
    #expect((held.token("a", now: at(21)) == nil) == isReleased)
  }
}
