import BrokerCore

/// A fleet at work for long, to be counted.
extension Scenario {
  /// `replicas` brokers with a store, and callers who ask each for each of `keys` audiences every twenty minutes,
  /// whose tokens live for an hour or a day. With `troubles` the tenant signs with another key while nobody can read
  /// its keys for an hour, and brokers start anew meanwhile.
  package static func work(days: Int, replicas: Int, keys: Int, troubles: Bool) -> Scenario {
    let (day, end) = (86_400.0, Double(days) * 86_400)
    var random = SeededGenerator(seed: 30)
    var events: [Event] = []
    for replica in 0..<replicas {
      for key in 0..<keys {
        for at in stride(from: Double.random(in: 0..<1200, using: &random), to: end, by: 1200) {
          events.append(Event(at: at, step: .call(key: key, callers: 1, ask: .any, patience: 30), replica: replica))
        }
      }
      for at in stride(from: 300.0 + Double(replica), to: end, by: 300) {
        events.append(Event(at: at, step: .pollKeySet, replica: replica))
      }
    }
    if troubles {
      events.append(Event(at: 10 * day, step: .fault(.noKeySet, lasting: 3600)))
      events.append(Event(at: 10 * day + 60, step: .rotateKey(revoking: false)))
      events.append(Event(at: 10 * day + 1800, step: .restart, replica: replicas - 1))
    }
    var rules = TokenCache.Rules()
    rules.client.maxConcurrent = 4
    return Scenario(
      seed: 30, lifetimes: (0..<keys).map { $0 % 2 == 0 ? 3600 : day }, quota: nil, replicas: replicas,
      hasStore: true, rules: rules, calmFrom: 11 * day, end: end, events: events.sorted { $0.at < $1.at })
  }
}
