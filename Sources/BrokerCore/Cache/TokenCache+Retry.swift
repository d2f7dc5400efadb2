package import Basics
package import OAuth

/// What an operator has mended, and wants to be tried now.
extension TokenCache {
  /// Whether the last attempt to get a token for the key has failed, or its client's tenant is not asked.
  package func hasFailed(_ key: TokenKey) -> Bool {
    failure(of: key) != nil || clients[key.client]?.gate.isClosed == true
  }

  /// What the last attempt has failed with; nil if it has not.
  package func failure(of key: TokenKey) -> TokenError? {
    guard key.holder == nil, let entry = entries[key], let failure = entry.lastFailure else { return nil }
    if let token = entry.token, token.minted.mintedAt >= failure.at { return nil }
    return failure.error
  }

  /// Ends the time for which the key's failure is remembered, and its client's: so the next request is sent on to the
  /// tenant, past what others have left in the store.
  package mutating func retry(_ key: TokenKey, now: Instant) -> [Action] {
    let hasStore = hasStore
    clients[key.client]?.gate.retry(now: now)
    reschedule(key, now) { entry in
      guard let failure = entry.lastFailure, failure.at.duration(to: now) >= ClientGate.retryInterval else { return }
      entry.failure?.end(at: now)
      if hasStore { entry.loadedAt = now }
    }
    return advance(now: now)
  }
}

/// What came of trying again.
package enum Retry: Sendable {
  /// Nothing had failed.
  case unneeded
  case minted
  case failed(TokenError)

  package var word: String {
    switch self {
    case .unneeded: "unneeded"
    case .minted: "minted"
    case .failed: "failed"
    }
  }
}
