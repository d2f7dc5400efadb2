import Dispatch
import Simulation
import Testing

@Suite(.timeLimit(.minutes(5))) struct SimulationTests {
  @Test(
    "A thousand histories of callers, outages, limits, rotations and restarts break no promise",
    arguments: [false, true])
  func promises(ofFleet isFleet: Bool) async {
    // On a thread of its own: the other tests share few.
    let report = await withCheckedContinuation { continuation in
      DispatchQueue(label: "simulation").async {
        let failures = (1...1000 as ClosedRange<UInt64>).lazy.compactMap { seed in
          let scenario = Scenario(seed: seed, isFleet: isFleet)
          return Shrinker.violation(scenario).map { Shrinker.report(scenario, $0) }
        }
        continuation.resume(returning: failures.first)
      }
    }
    if let report { Issue.record("\(report)") }
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
