import Basics
import BrokerCore
import Testing

@testable import Telemetry

@Suite struct CallerUsageTests {
  private static let denied = CallerUsage.Outcome("caller_not_allowed", isDenial: true)

  private func counted(_ usage: CallerUsage) -> [String: Int] {
    Dictionary(uniqueKeysWithValues: usage.rows.map { ("\($0.caller) \($0.audience ?? "-") \($0.word)", $0.count) })
  }

  @Test("What loops count and what is counted off them add up by caller, audience and outcome, with the last time")
  func sums() {
    let usage = CallerUsage(loops: 2)
    let number = usage.number(of: "https://a/")
    for (loop, second) in [(0, 5), (1, 3), (1, 4)] as [(Int, Int64)] {
      usage.given("billing", audience: number, loop: loop).add(at: Instant(nanoseconds: second * 1_000_000_000))
    }
    #expect(usage.rows.map(\.lastAt) == [Instant(nanoseconds: 5_000_000_000)])
    usage.count("billing", audience: "https://a/", .given)
    usage.count("billing", audience: "https://a/", Self.denied)
    usage.count("reports", audience: "https://a/", .given)
    #expect(
      counted(usage) == [
        "billing https://a/ ok": 4, "billing https://a/ caller_not_allowed": 1, "reports https://a/ ok": 1,
      ])
    #expect(usage.rows.filter(\.isDenial).map(\.count) == [1])
  }

  @Test("An audience that has yielded no token is not told apart, however many are made up")
  func madeUp() {
    let usage = CallerUsage(loops: 1)
    for number in 0..<5000 { usage.count("billing", audience: "https://\(number)/", Self.denied) }
    #expect(counted(usage) == ["billing - caller_not_allowed": 5000])
  }

  @Test("Beyond so many audiences, and so many pairs of them with callers, what is counted is counted together")
  func bounds() {
    let usage = CallerUsage(loops: 1)
    let numbers = (0..<1200).map { usage.number(of: "https://\($0)/") }
    #expect(Set(numbers).count == CallerUsage.maxAudiences + 1 && numbers.last == 0)
    for caller in ["a", "b"] {
      for number in numbers { usage.given(caller, audience: number, loop: 0).add(at: .now) }
    }
    #expect(usage.rows.count == CallerUsage.maxPairs + 2)
    #expect(usage.rows.filter { $0.audience == nil }.map(\.count) == [200, 1200])
  }

  @Test("A caller that is expected is there before it has asked")
  func expected() {
    let usage = CallerUsage(loops: 1)
    usage.expect(["billing"])
    #expect(counted(usage) == ["billing - ok": 0])
  }

  @Test("Metrics have each caller with its outcomes, and by audience what was counted")
  func metrics() {
    let usage = CallerUsage(loops: 1)
    usage.expect(["billing", "reports"])
    _ = usage.number(of: "https://a/")
    for _ in 0..<3 { usage.count("billing", audience: "https://a/", .given) }
    usage.count("billing", audience: "https://made-up/", Self.denied)
    var text = MetricsText(.prometheus)
    text.write(usage.rows)
    let samples = String(decoding: text.bytes, as: UTF8.self).split(separator: "\n").filter { !$0.hasPrefix("#") }
    #expect(
      samples.map { $0.replacing("token_broker_caller_", with: "") } == [
        #"requests_total{caller="billing",outcome="caller_not_allowed"} 1"#,
        #"requests_total{caller="billing",outcome="ok"} 3"#, #"requests_total{caller="reports",outcome="ok"} 0"#,
        #"audience_requests_total{caller="billing",audience="other",outcome="caller_not_allowed"} 1"#,
        #"audience_requests_total{caller="billing",audience="https://a/",outcome="ok"} 3"#,
      ])
  }
}
