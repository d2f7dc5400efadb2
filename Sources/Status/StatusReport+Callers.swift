import BrokerCore
import Telemetry

extension StatusReport.Caller {
  /// Those of the configuration, and behind them who else has asked, each by name.
  static func all(_ names: Set<String>, _ facts: StatusFacts) -> [StatusReport.Caller] {
    let rows = Dictionary(grouping: facts.usage, by: \.caller)
    let others = [CallerUsage.unknown, CallerUsage.passThrough].filter { rows[$0] != nil && !names.contains($0) }
    return (names.sorted() + others).map { StatusReport.Caller($0, rows[$0] ?? [], facts) }
  }

  private init(_ name: String, _ rows: [CallerUsage.Row], _ facts: StatusFacts) {
    let counted = rows.filter { $0.count > 0 }
    self.name = name
    lastSeen = facts.time(counted.map(\.lastAt).max())
    requests = Self.requests(counted)
    denied = Self.requests(counted.filter(\.isDenial))
    audiences = Dictionary(grouping: counted.filter { $0.audience != nil }) { $0.audience ?? "" }
      .sorted { $0.key < $1.key }.map { audience, rows in
        Audience(
          audience: audience, requests: Self.requests(rows), denied: Self.requests(rows.filter(\.isDenial)))
      }
  }

  private static func requests(_ rows: [CallerUsage.Row]) -> Int { rows.reduce(0) { $0 + $1.count } }
}

extension StatusReport.Denial {
  init(_ denial: Denial, _ facts: StatusFacts) {
    self.init(
      time: facts.time(denial.at), peer: denial.peer, caller: denial.caller, audience: denial.audience,
      reason: denial.reason, times: denial.times)
  }
}
