import Basics
import Logging
import OAuth

@testable import BrokerCore

/// Mints as a test says, and takes no token of a store for good.
struct StubMinter: TokenMinter {
  var vaults: [UpstreamID: Vault] = [:]
  let answer: @Sendable (TokenKey, TraceContext?) async throws(TokenError) -> MintedToken

  func mint(
    _ key: TokenKey, as credentials: PassThroughCredentials?, in trace: TraceContext?, deadline: Instant
  ) async throws(TokenError) -> MintedToken { try await answer(key, trace) }

  func revalidate(
    _ stored: StoredToken, for key: TokenKey, deadline: Instant
  ) async throws(TokenError) -> MintedToken { throw .timedOut }

  func held(_ key: TokenKey) -> StoredToken? { nil }

  func forget(_ key: TokenKey) {}

  func vault(of client: UpstreamID) -> Vault? { vaults[client] }

  var events: AsyncStream<UpstreamEvent> { AsyncStream { $0.finish() } }

  func pollKeySets(holders: Set<UpstreamID>) async {}
}

extension Logger {
  /// Writes nothing.
  static var silent: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}
