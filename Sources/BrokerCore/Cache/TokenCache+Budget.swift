/// What clients have used of their months' allotments.
extension TokenCache {
  /// The clients whose allotment all brokers of a fleet share. Who brings credentials of their own shares nothing.
  package var clientsWithBudget: [UpstreamID] {
    rules.client.monthlyMints == nil ? [] : clients.keys.filter { !$0.isPassThrough }
  }

  /// Whether the client's mints are to be told to the others of the fleet, or theirs to be asked for.
  package func isCountOutdated(of client: UpstreamID) -> Bool {
    rules.client.monthlyMints != nil && !client.isPassThrough && clients[client]?.gate.mints.isOutdated == true
  }

  /// What the others are to be told of the client's mints; `reported` must follow, once. nil while they are being told.
  package mutating func mintReport(of client: UpstreamID) -> MintCount.Report? { clients[client]?.gate.mints.report() }

  package mutating func reported(_ report: MintCount.Report, of client: UpstreamID, _ outcome: MintCount.Outcome) {
    clients[client]?.gate.mints.reported(report, outcome)
  }

  /// How many of the client's tokens are known to have been minted this month.
  package func mintsUsed(of client: UpstreamID) -> Int { clients[client]?.gate.mints.total ?? 0 }
}
