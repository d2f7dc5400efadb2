import Basics
import OAuth

@testable import BrokerCore

/// Takes what a store has for good.
struct TrustingMinter: TokenMinter {
  let answer: @Sendable () -> MintedToken
  private let vault = Vault(secrets: [Secret("secret".utf8)], identity: [])

  init(_ answer: @escaping @Sendable () -> MintedToken) { self.answer = answer }

  func mint(
    _ key: TokenKey, as credentials: PassThroughCredentials?, in trace: TraceContext?, deadline: Instant
  ) async throws(TokenError) -> MintedToken { answer() }

  func revalidate(
    _ stored: StoredToken, for key: TokenKey, deadline: Instant
  ) async throws(TokenError) -> MintedToken {
    MintedToken(stored, keyID: "k", expiry: nil, now: .now, wallNow: WallClock.now)
  }

  func held(_ key: TokenKey) -> StoredToken? { nil }
  func forget(_ key: TokenKey) {}
  func vault(of client: UpstreamID) -> Vault? { vault }
  var events: AsyncStream<UpstreamEvent> { AsyncStream { $0.finish() } }
  func pollKeySets(holders: Set<UpstreamID>) async {}
}
