import Basics
import BrokerCore
import HTTPClient
import OAuth

/// A tenant within this process, which stands in for those of all clients.
package struct EmbeddedTenant: Sendable {
  let baseURL: String
  let clientID: String
  let secrets: [String]
  let certificatePEM: String
  /// The audiences whose requests fail in ways of their own.
  package let faultAudiences: [String]
  /// What makes this process's keys of callers others than any other's.
  private let seed = (0..<32).map { _ in UInt8.random(in: .min ... .max) }

  package init(
    baseURL: String, clientID: String, secrets: [String], certificatePEM: String, faultAudiences: [String]
  ) {
    self.baseURL = baseURL
    self.clientID = clientID
    self.secrets = secrets
    self.certificatePEM = certificatePEM
    self.faultAudiences = faultAudiences
  }

  /// A key that the caller of this name can prove itself with, beside what the configuration has for it: of that, only
  /// hashes are known.
  package func key(ofCaller name: String) -> String {
    let bytes = seed + name.utf8
    return "tb_\(SHA256Digest(of: bytes.span).hex)"
  }

  /// The client of that name.
  func client(_ name: String, isPassThrough: Bool = false) -> ClientSettings {
    let client = OAuthClient.auth0(
      name: name, baseURL: baseURL, clientID: clientID, secrets: secrets.map { Secret(Array($0.utf8)) })
    return ClientSettings(client: client, trust: .pem(certificatePEM), isPassThrough: isPassThrough)
  }
}

extension Configuration {
  /// The client that the audiences of faults are asked from.
  private static let faultClient = "faults"

  /// Adds what only an embedded tenant is used with: a key for each caller, and a client for the audiences of faults,
  /// so that the limits and refusals they run into concern no other audience.
  mutating func extend(for tenant: EmbeddedTenant) {
    for caller in callers?.byName.values ?? [:].values {
      let key = Array(tenant.key(ofCaller: caller.name).utf8)
      _ = callers?.directory.insert(.key(SHA256Digest(of: key.span)), of: caller)
    }
    let client = Self.faultClient
    if clients[client] == nil { clients[client] = tenant.client(client) }
    audiences.list(tenant.faultAudiences, AudienceCatalog.Entry(client: client))
  }
}
