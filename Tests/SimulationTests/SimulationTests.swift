import Dispatch
import Simulation
import Testing

@Suite(.timeLimit(.minutes(5))) struct SimulationTests {
  @Test("A thousand histories of callers, outages, limits, rotations and restarts break no promise")
  func promises() async {
    // On a thread of its own: the other tests share few.
    let report = await withCheckedContinuation { continuation in
      DispatchQueue(label: "simulation").async {
        let failures = (1...1000).lazy.compactMap { seed in
          Shrinker.violation(Scenario(seed: seed)).map { (seed: seed as UInt64, violation: $0) }
        }
        continuation.resume(returning: failures.first.map { Shrinker.report($0.seed, $0.violation) })
      }
    }
    if let report { Issue.record("\(report)") }
  }

  @Test("A seed replays exactly")
  func replay() {
    var (one, other) = (Simulation(Scenario(seed: 7), tracing: true), Simulation(Scenario(seed: 7), tracing: true))
    try? one.run()
    try? other.run()
    #expect(one.trace == other.trace)
    #expect(one.trace.count > 50)
  }
}
