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
    var mints: [Int] = []
    for (replicas, troubles) in [(1, false), (10, true)] {
      let count = try await Self.onOwnThread {
        var simulation = Simulation(.month(replicas: replicas, keys: 8, troubles: troubles))
        return Result { () throws(Violation) in
          try simulation.run()
          return simulation.mints
        }
      }.get()
      mints.append(count)
    }
    let ratio = Double(mints[1]) / Double(mints[0])
    #expect(ratio <= 1.01, "\(mints[1]) mints where \(mints[0]) would do: \(ratio)")
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
