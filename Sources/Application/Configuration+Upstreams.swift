import BrokerCore
import OAuth
import Settings
import Telemetry

extension Configuration {
  /// The clients, as the core takes them.
  var upstreamSpecs: [UpstreamSpec] {
    let sealing: UpstreamSpec.Sealing = store.isShared ? store.keys.map { .keys($0) } ?? .ownSecrets : .none
    return clients.values.map { settings in
      UpstreamSpec(
        client: settings.client, connection: connection(of: settings), secretFile: settings.secretFile,
        isPassThrough: settings.isPassThrough, sealing: sealing, files: settings.files)
    }
  }

  /// How the client's tenant is reached.
  func connection(of settings: ClientSettings) -> ServerConnection {
    ServerConnection(
      trust: settings.trust, proxy: upstream.proxy, userAgent: "token-broker/\(Version.current)",
      connectTimeout: upstream.connectTimeout, timeout: upstream.timeout)
  }
}
