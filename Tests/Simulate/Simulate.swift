import Dispatch
import Foundation
import Simulation
import Synchronization

/// `simulate COUNT [FIRST]`: plays so many seeds on all cores; prints what broke, and what was covered.
@main enum Simulate {
  static func main() {
    let arguments = CommandLine.arguments.dropFirst().compactMap { UInt64($0) }
    let (count, first) = (arguments.first ?? 1000, arguments.dropFirst().first ?? 1)
    let started = ContinuousClock.now
    let failures = Mutex<[(Scenario, Violation)]>([])
    let seconds = Mutex(0.0)
    let events = Atomic(0)
    let chunk: UInt64 = 100
    DispatchQueue.concurrentPerform(iterations: Int((count + chunk - 1) / chunk)) { index in
      let from = first + UInt64(index) * chunk
      var covered = 0.0
      for seed in from..<min(from + chunk, first + count) {
        // Every other one with a store, and mostly several brokers.
        let scenario = Scenario(seed: seed, isFleet: seed % 2 == 0)
        var simulation = Simulation(scenario)
        do throws(Violation) { try simulation.run() } catch { failures.withLock { $0.append((scenario, error)) } }
        covered += scenario.end
        events.add(simulation.eventCount, ordering: .relaxed)
      }
      seconds.withLock { $0 += covered }
    }
    let years = seconds.withLock { $0 } / (365.25 * 86_400)
    let all = failures.withLock { $0 }
    for (promise, found) in Dictionary(grouping: all, by: \.1.promise) {
      print("\(found.count) × \(promise)")
      if let (scenario, violation) = found.min(by: { $0.0.seed < $1.0.seed }) {
        print(Shrinker.report(scenario, violation))
      }
    }
    let took = started.duration(to: .now).components.seconds
    print(
      "\(count) seeds, \(Int(years)) virtual years, \(events.load(ordering: .relaxed)) events, "
        + "\(all.count) failures, in \(took) s")
    exit(all.isEmpty ? 0 : 1)
  }
}
