package import BrokerCore
import Synchronization
package import Telemetry

/// The rendered form of every token that is current, made once: for the tables of all event loops, and for all who wait
/// for the token off the loops.
package final class RenderedTokens: Sendable {
  private let clients: ClientNumbers
  private let current = Mutex<[TokenKey: RenderedToken]>([:])

  package init(_ clients: ClientNumbers) {
    self.clients = clients
  }

  /// Takes over what the broker publishes, and returns what the tables are to be told of it.
  package func change(for publication: Broker.Publication) -> TokenTable.Change {
    switch publication {
    case .current(let token):
      let rendered = render(token)
      current.withLock { $0[token.key] = rendered }
      return .insert(rendered)
    case .withdrawn(let key):
      current.withLock { $0[key] = nil }
      return .remove(key)
    }
  }

  /// The rendered form of a token, which may have been replaced meanwhile.
  func rendered(_ token: CachedToken) -> RenderedToken {
    if let current = current.withLock({ $0[token.key] }), current.token === token { return current }
    return render(token)
  }

  private func render(_ token: CachedToken) -> RenderedToken {
    RenderedToken(token, clientNumber: clients.number(of: token.key.client.name))
  }
}
