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

  @Test(
    "A month of ten brokers, with an hour without keys and another key in it, costs the mints of one without faults")
  func month() throws {
    var mints: [Int] = []
    for (replicas, troubles) in [(1, false), (10, true)] {
      var simulation = Simulation(.month(replicas: replicas, keys: 8, troubles: troubles))
      try simulation.run()
      mints.append(simulation.mints)
    }
    let ratio = Double(mints[1]) / Double(mints[0])
    #expect(ratio <= 1.01, "\(mints[1]) mints where \(mints[0]) would do: \(ratio)")
    print("a month's mints: \(mints[1]) by ten brokers with faults, \(mints[0]) by one without: \(ratio)")
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
