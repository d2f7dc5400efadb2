import Basics

/// One allotment for all brokers of a fleet.
extension Broker {
  /// So often brokers ask what the others have minted, and make good what the store has lost of the count.
  private static let countInterval = Duration.seconds(5)

  /// Keeps the count of the months' mints that the brokers of a fleet share, until the task is cancelled; then it
  /// returns once the others have been told of all.
  package func tendBudgets() async {
    if shared == nil { return }
    // Nobody tells of what others mint, so there is only the time to wait for.
    while (try? await Task.sleep(for: Self.countInterval)) != nil {
      cache.enter(month: WallClock.month)
      for client in cache.clientsWithBudget where !retired.contains(client) { shareMints(of: client) }
    }
    for client in cache.clientsWithBudget where cache.isCountOutdated(of: client) { shareMints(of: client) }
    await tellMints()
  }

  /// Returns once no report is under way.
  func tellMints() async {
    while let report = mintReports.values.first { await report.value }
  }

  /// Tells the others of what was minted, and hears of theirs.
  func shareMints(of client: UpstreamID) {
    guard let shared, let report = cache.mintReport(of: client) else { return }
    mintReports[client] = Task {
      let outcome = await shared.count(report, of: client)
      cache.reported(report, of: client, outcome)
      mintReports[client] = nil
      reportBudget(of: client, cache.budget(of: client))
      // There may have been more meanwhile.
      if case .total = outcome, cache.isCountOutdated(of: client) { shareMints(of: client) }
    }
  }
}
