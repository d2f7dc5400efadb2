package import BrokerCore
import Synchronization
package import Telemetry

/// Renders each token once: for the tables of all event loops, and for all who wait for it off the loops.
package final class RenderedTokens: Sendable {
  private let clients: ClientNumbers
  private let usage: CallerUsage
  /// The latest ones, which somebody may be waiting for; the tables have all.
  private let latest = Mutex<[TokenKey: RenderedToken]>([:])
  private static let capacity = 256

  package init(_ clients: ClientNumbers, _ usage: CallerUsage) {
    self.clients = clients
    self.usage = usage
  }

  /// Takes over what the broker publishes, and returns what all routers are to be told.
  package func message(of publication: Broker.Publication) -> Router.Message {
    switch publication {
    case .current(let token):
      let rendered = render(token)
      latest.withLock { latest in
        if latest.count >= Self.capacity { latest.removeAll() }
        latest[token.key] = rendered
      }
      return .current(rendered)
    case .withdrawn(let key):
      latest.withLock { $0[key] = nil }
      return .withdrawn(key)
    }
  }

  /// The rendered form of a token, which may have been replaced meanwhile.
  func rendered(_ token: CachedToken) -> RenderedToken {
    if let latest = latest.withLock({ $0[token.key] }), latest.token === token { return latest }
    return render(token)
  }

  private func render(_ token: CachedToken) -> RenderedToken {
    RenderedToken(
      token, clientNumber: clients.number(of: token.key.client.name),
      audienceNumber: usage.number(of: token.key.audience))
  }
}
