import Basics

extension SharedTokens {
  /// A month and some days: nobody asks for the count any more.
  private static let countLifetime = Duration.seconds(40 * 86_400)

  /// Adds to what the fleet has minted in a month, and says how many that makes.
  func count(_ report: MintCount.Report, of client: UpstreamID) async -> MintCount.Outcome {
    guard let vault = minter.vault(of: client) else { return .untold }
    let isWithinReach = store.condition.problem == nil
    do throws(StoreError) {
      let total = try await counted(.save) { () async throws(StoreError) in
        try await store.count(
          vault.name(ofMintsIn: report.month), adding: report.adding, atLeast: report.atLeast,
          lifetime: Self.countLifetime)
      }
      return .total(total)
    } catch {
      return isWithinReach && !error.isRefusal ? .unknown : .untold
    }
  }
}
