/// Finds a short history that still breaks the same promise.
package enum Shrinker {
  /// Plays a seed; nil: every promise was kept.
  package static func violation(_ scenario: Scenario) -> Violation? {
    var simulation = Simulation(scenario)
    do throws(Violation) {
      try simulation.run()
      return nil
    } catch {
      return error
    }
  }

  /// Leaves out events, in ever smaller pieces, as long as the same promise stays broken.
  package static func shrink(_ scenario: Scenario, _ original: Violation) -> Scenario {
    var best = scenario
    var piece = best.events.count / 2
    while piece > 0 {
      var start = 0
      while start < best.events.count {
        var shorter = best
        shorter.events.removeSubrange(start..<min(start + piece, best.events.count))
        if violation(shorter)?.promise == original.promise { best = shorter } else { start += piece }
      }
      piece /= 2
    }
    return best
  }

  /// What is said of a seed that fails: the promise, and the short history that breaks it.
  package static func report(_ scenario: Scenario, _ violation: Violation) -> String {
    let short = shrink(scenario, violation)
    var simulation = Simulation(short, tracing: true)
    do throws(Violation) { try simulation.run() } catch {}
    let lines = simulation.trace.suffix(60).joined(separator: "\n  ")
    return
      "seed \(scenario.seed) \(violation)\n  keys with lifetimes \(short.lifetimes) s, brokers: \(short.replicas)\n  "
      + lines
  }
}
