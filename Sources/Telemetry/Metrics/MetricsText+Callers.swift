import BrokerCore

extension MetricsText {
  /// What callers asked for. Nothing where nobody has to prove who they are.
  mutating func write(_ rows: [CallerUsage.Row]) {
    let known = Dictionary(grouping: rows) { [$0.caller, $0.word] }
      .sorted { $0.key.lexicographicallyPrecedes($1.key) }
    counter(
      "token_broker_caller_requests", "Requests for tokens by caller and by how they ended.",
      known.map { subject, rows in
        ([("caller", subject[0]), ("outcome", subject[1])], "\(rows.reduce(0) { $0 + $1.count })")
      })
    counter(
      "token_broker_caller_audience_requests", "The same by audience.",
      rows.filter { $0.count > 0 }.map {
        ([("caller", $0.caller), ("audience", $0.audience ?? "other"), ("outcome", $0.word)], "\($0.count)")
      })
  }

  /// What is left of allotments.
  mutating func write(_ budgets: [String: ClientStatus.Budget]) {
    let known = budgets.sorted { $0.key < $1.key }
    gauge(
      "token_broker_budget_remaining",
      "Tokens that are left of the month's allotment, by what all brokers that share a store have minted.",
      known.map { ([("client", $0.key)], "\($0.value.remaining)") })
    gauge(
      "token_broker_budget_limit", "The month's allotment of tokens.",
      known.map { ([("client", $0.key)], "\($0.value.limit)") })
  }
}
