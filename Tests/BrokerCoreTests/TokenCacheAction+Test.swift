import OAuth

@testable import BrokerCore

extension TokenCache.Action {
  /// What a test wants to know: `load`, `fetch`, `publish <token>`, `withdraw <audience>`, `<waiter>=<token or error>`.
  var said: String {
    switch self {
    case .load: "load"
    case .fetch: "fetch"
    case .publish(let token): "publish \(token.minted.accessToken.value)"
    case .withdraw(let key): "withdraw \(key.audience)"
    case .answer(let waiter, .success(let token)): "\(waiter)=\(token.minted.accessToken.value)"
    case .answer(let waiter, .failure(let error)): "\(waiter)=\(error.cause.rawValue)"
    }
  }
}
