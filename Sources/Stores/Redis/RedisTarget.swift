import BrokerCore
import IO

/// The addresses and certificates that a connection needs. Both may block while they are got, and are got anew for each
/// connection, so that a server may move and certificates may be renewed.
struct RedisTarget: Sendable {
  let addresses: [SocketAddress]
  let tls: TLSClientContext?

  private static let mostAddresses = 8

  init(of settings: RedisSettings) throws(StoreError) {
    tls = try Self.context(for: settings)
    do throws(AddressError) {
      switch settings.server {
      case .tcp(let host, let port):
        addresses = Array(try SocketAddress.all(of: host, port: port).prefix(Self.mostAddresses))
      case .unix(let path): addresses = [try SocketAddress(parsing: "unix:\(path)")]
      }
    } catch {
      throw StoreError("\(error)")
    }
  }

  static func context(for settings: RedisSettings) throws(StoreError) -> TLSClientContext? {
    guard settings.usesTLS else { return nil }
    do throws(TLSError) {
      let identity = settings.certificateFile.flatMap { certificate in
        settings.keyFile.map { TLSClientContext.Identity(certificate: .file(certificate), key: .file($0)) }
      }
      return try TLSClientContext(authorities: settings.caFile.map { .file($0) }, identity: identity)
    } catch {
      throw StoreError("\(error)")
    }
  }
}
