package import Basics
package import OAuth

/// Where the broker's tokens come from.
package protocol TokenMinter: Sendable {
  /// A new, validated token; returns or throws by the deadline. `credentials` are used instead of the client's own, for
  /// a key that has a holder. `trace` is told to the tenant.
  func mint(
    _ key: TokenKey, as credentials: PassThroughCredentials?, in trace: TraceContext?, deadline: Instant
  ) async throws(TokenError) -> MintedToken

  /// Checks a token that a store has kept, by the deadline. Throws why it must not be used.
  func revalidate(_ stored: StoredToken, for key: TokenKey, deadline: Instant) async throws(TokenError) -> MintedToken

  /// A token that was minted and cannot be checked yet; whoever gets it from a store must check it first.
  func held(_ key: TokenKey) -> StoredToken?

  /// Lets go of such a token.
  func forget(_ key: TokenKey)

  /// What a client's values in a store are sealed with now; nil for a client that shares nothing.
  func vault(of client: UpstreamID) -> Vault?

  /// What happens to the clients though nobody has asked for a token; for one listener.
  var events: AsyncStream<UpstreamEvent> { get }

  /// Reads the tenants' key sets again where they are no longer fresh, so that a revoked key is noticed. `holders` are
  /// the clients whose tokens are held: theirs are also read if that has not been done yet.
  func pollKeySets(holders: Set<UpstreamID>) async
}

package enum UpstreamEvent: Sendable {
  /// A tenant's key set was read for these clients.
  case keySetRead(KeySetChange, of: [UpstreamID])
  /// The client has other credentials now.
  case credentialsChanged(UpstreamID)
}
