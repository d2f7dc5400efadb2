package import BrokerCore
package import Telemetry

/// A token that event loops hand out, with the numbers that this is counted under.
package struct CountedToken: Sendable {
  let token: CachedToken
  private let client: UInt16
  private let audience: UInt16

  init(_ token: CachedToken, _ clients: ClientNumbers, _ usage: CallerUsage) {
    self.token = token
    client = UInt16(clients.number(of: token.key.client.name))
    audience = UInt16(usage.number(of: token.key.audience))
  }

  var clientNumber: Int { Int(client) }
  var audienceNumber: Int { Int(audience) }
}

extension Router.Message {
  /// What all routers are to be told of what the broker publishes.
  package init(_ publication: Broker.Publication, _ clients: ClientNumbers, _ usage: CallerUsage) {
    switch publication {
    case .current(let token): self = .current(CountedToken(token, clients, usage))
    case .withdrawn(let key): self = .withdrawn(key)
    }
  }
}
