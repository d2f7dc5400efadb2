import Basics
import BrokerCore

/// What may be wrong with keys, and with the clock that tokens are checked by. It has random numbers of its own.
extension Scenario {
  static func keyTroubles(seed: UInt64, first: Seconds, keys: Int, before end: Seconds, _ replicas: Int) -> [Event] {
    var random = SeededGenerator(seed: seed ^ 0x6b65_7973)
    let replica = Int.random(in: 0..<replicas, using: &random)
    var events: [Event] = []
    func add(_ at: Seconds, _ step: Step) { events.append(Event(at: at, step: step, replica: replica)) }
    func call(_ at: Seconds, _ key: Int, _ ask: Ask = .any) {
      add(at, .call(key: key, callers: 1, ask: ask, patience: 30))
    }
    let at = Bool.random(using: &random) ? first : Double.random(in: 0..<end, using: &random)
    switch Int.random(in: 0..<8, using: &random) {
    case 0, 1:
      // The tenant signs with another key, just after its keys were read.
      for key in 0..<keys { call(at + 0.1 * Double(key), key) }
      for round in 1...Int.random(in: 1...3, using: &random) {
        let at = at + Double(round) * Double.random(in: 2...40, using: &random)
        add(at, .rotateKey(revoking: false))
        for key in 0..<keys { call(at + 0.1 + 0.2 * Double(key), key, .fresh) }
      }
    case 2, 3:
      // The keys cannot be read while the tenant signs with another one.
      let lasting = min(end - at, random.pick([20, 200, 4000, 20_000]))
      guard lasting > 10 else { break }
      for key in 0..<keys { call(at, key) }
      add(at + 1, .fault(Bool.random(using: &random) ? .noKeySet : .limitsKeySet, lasting: lasting))
      add(at + 2, .rotateKey(revoking: false))
      for _ in 0..<40 {
        let key = Int.random(in: 0..<keys, using: &random)
        call(at + 3 + Double.random(in: 0..<lasting + 60, using: &random), key, random.pick([.any, .any, .fresh]))
      }
    case 4:
      // The clock is wrong for a moment.
      let step = random.pick([-7200.0, -600, 90_000, 3_000_000])
      add(at, .stepWallClock(step))
      for key in 0..<keys { call(at + 0.1 * Double(key), key, .fresh) }
      add(at + 5, .stepWallClock(-step))
      for key in 0..<keys { call(at + 6 + 0.1 * Double(key), key) }
    default: break
    }
    return events
  }
}

extension SeededGenerator {
  mutating func pick<Value>(_ values: [Value]) -> Value { values[Int.random(in: 0..<values.count, using: &self)] }
}
