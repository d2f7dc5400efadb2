import Basics
import Testing

@testable import Telemetry

@Suite struct RecentDenialsTests {
  private func denial(_ caller: String?, _ audience: String? = nil, at second: Int = 0) -> Denial {
    Denial(
      at: Instant(nanoseconds: 0).advanced(by: .seconds(second)), peer: "10.0.0.7:\(second)", caller: caller,
      audience: audience, reason: "why")
  }

  @Test("Denials that are alike are one, with how often and when last")
  func alike() {
    let denials = RecentDenials()
    denials.note(denial("a", "https://x/"), from: "p")
    denials.note(denial("b"), from: "p")
    for second in 1...9 { denials.note(denial("a", "https://x/", at: second), from: "p") }
    #expect(denials.all.map(\.caller) == ["a", "b"] && denials.all.map(\.times) == [10, 1])
    #expect(denials.all.first?.peer == "10.0.0.7:9")
  }

  @Test("A flood of one caller, or of one place where nobody is recognised, drives nobody else's out")
  func flood() {
    let denials = RecentDenials()
    for caller in ["a", "b", "c"] { denials.note(denial(caller, "https://x/"), from: "p") }
    for number in 0..<100 {
      denials.note(denial("greedy", "https://\(number)/"), from: "p")
      denials.note(denial(nil, "https://\(number)/"), from: "10.0.0.9")
    }
    #expect(denials.all.count { $0.caller == "greedy" } == RecentDenials.capacityOfOne)
    #expect(denials.all.count { $0.caller == nil } == RecentDenials.capacityOfOne)
    #expect(denials.all.suffix(3).map(\.caller) == ["c", "b", "a"])
    #expect(denials.all.first?.audience == "https://99/")
  }

  @Test("Only the latest are kept")
  func capacity() {
    let denials = RecentDenials()
    for number in 0..<50 { denials.note(denial("caller \(number)"), from: "p") }
    #expect(denials.all.map(\.caller) == (30..<50).reversed().map { "caller \($0)" })
  }
}
