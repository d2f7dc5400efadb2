import Dispatch
import Simulation
import Testing

@Suite(.timeLimit(.minutes(5))) struct SimulationTests {
  @Test(
    "A thousand histories of callers, outages, limits, rotations and restarts break no promise",
    arguments: [false, true])
  func promises(ofFleet isFleet: Bool) async {
    let report = await Self.onOwnThread {
      (1...1000 as ClosedRange<UInt64>).lazy.compactMap { seed in
        let scenario = Scenario(seed: seed, isFleet: isFleet)
        return Shrinker.violation(scenario).map { Shrinker.report(scenario, $0) }
      }.first
    }
    if let report { Issue.record("\(report)") }
  }

  /// The other tests share few threads, and would wait for this one.
  private static func onOwnThread<Result: Sendable>(_ work: @escaping @Sendable () -> Result) async -> Result {
    await withCheckedContinuation { continuation in
      DispatchQueue(label: "simulation").async { continuation.resume(returning: work()) }
    }
  }

  @Test(
    "A month of ten brokers, with an hour without keys and another key in it, costs the mints of one without faults")
  func month() async throws {
    let one = try await Self.mints(.work(days: 30, replicas: 1, keys: 8, troubles: false))
    let ten = try await Self.mints(.work(days: 30, replicas: 10, keys: 8, troubles: true))
    let ratio = Double(ten) / Double(one)
    #expect(ratio <= 1.01, "\(ten) mints where \(one) would do: \(ratio)")
  }

  @Test("A process that has run for a year mints as in its first month")
  func year() async throws {
    let month = try await Self.mints(.work(days: 30, replicas: 1, keys: 4, troubles: false))
    let year = try await Self.mints(.work(days: 360, replicas: 1, keys: 4, troubles: false))
    let ratio = Double(year) / Double(12 * month)
    #expect((0.99...1.01).contains(ratio), "\(year) mints in a year, \(month) in a month")
  }

  private static func mints(_ scenario: Scenario) async throws -> Int {
    try await onOwnThread {
      var simulation = Simulation(scenario)
      return Result { () throws(Violation) in
        try simulation.run()
        return simulation.mints
      }
    }.get()
  }

  @Test("A seed replays exactly")
  func replay() {
    let scenario = Scenario(seed: 7, isFleet: true)
    var (one, other) = (Simulation(scenario, tracing: true), Simulation(scenario, tracing: true))
    try? one.run()
    try? other.run()
    #expect(one.trace == other.trace)
    #expect(one.trace.count > 50)
  }
}
