import Basics
import Logging
import OAuth

/// What a store has lost, or never had because it was minted while the store was away, and is given back.
extension SharedTokens {
  /// How often it is looked whether the store still has what is held: it does not tell of what it drops.
  static let lookInterval = Duration.seconds(4)
  /// How many tokens are looked for at a time: so that nobody else waits long for an answer of the store.
  static let batch = 32
  /// A store that has refused so many, and taken none, takes none of the others either.
  private static let mostRefusals = 3
  /// A token with less life left is not looked for: the store may drop it at any time.
  private static let shortestLife = Duration.seconds(5)

  /// Whether it is of use to look for what is missing.
  var canLook: Bool { store.condition.can(.load) }

  /// Those of the tokens that the store has not, or has older ones in place of; none if it does not answer.
  func missing(of tokens: [CachedToken]) async -> [(slots: StoreSlots, minted: MintedToken)] {
    let last = Instant.now.advanced(by: Self.shortestLife)
    let shared = tokens.compactMap { token in
      token.minted.expiresAt < last ? nil : slots(for: token.key).map { (slots: $0, minted: token.minted) }
    }
    if shared.isEmpty { return [] }
    guard let values = try? await store.load(shared.map(\.slots.tokenName)) else { return [] }
    return zip(shared, values).filter { found, value in !found.slots.isToken(value, asNewAs: found.minted) }.map(\.0)
  }

  /// Leaves those of the tokens that are missing. Somebody may leave a newer one between the look and the save: that
  /// costs a mint at most.
  func restore(_ tokens: [CachedToken]) async {
    var (count, refused) = (0, 0)
    defer { if count > 0 { log.info("the store was given back what it had lost", metadata: ["values": "\(count)"]) } }
    for start in stride(from: 0, to: tokens.count, by: Self.batch) {
      if Task.isCancelled || !canLook { return }
      for (slots, minted) in await missing(of: Array(tokens[start..<min(start + Self.batch, tokens.count)])) {
        guard let entry = slots.entry(for: .success(minted), now: .now, wallNow: WallClock.now) else { continue }
        let saved: Void? = try? await counted(.save) { () async throws(StoreError) in
          try await store.save([entry], settling: nil)
        }
        if saved == nil { refused += 1 } else { count += 1 }
        // When it is back, or writes again, there will be another occasion.
        if count == 0, refused == Self.mostRefusals { return }
      }
    }
  }
}
