import Basics
import BrokerCore
import IO

/// The addresses, certificates and password that a connection needs. All may block while they are got, and are got anew
/// for each connection, so that a server may move, and certificates and passwords may be renewed.
struct RedisTarget: Sendable {
  /// With the password that is in its file now.
  let settings: RedisSettings
  let addresses: [SocketAddress]
  let tls: TLSClientContext?

  private static let mostAddresses = 8

  init(of settings: RedisSettings) throws(StoreError) {
    tls = try Self.context(for: settings)
    self.settings = try Self.withPassword(settings)
    do throws(AddressError) {
      switch settings.server {
      case .tcp(let host, let port):
        addresses = Array(try SocketAddress.all(of: host, port: port).prefix(Self.mostAddresses))
      case .unix(let path): addresses = [try SocketAddress(parsing: "unix:\(path)")]
      // Somewhere only when a Sentinel has said where.
      case .primary: addresses = []
      }
    } catch {
      throw StoreError("\(error)")
    }
  }

  private static func withPassword(_ settings: RedisSettings) throws(StoreError) -> RedisSettings {
    guard let file = settings.passwordFile else { return settings }
    var settings = settings
    do throws(FileError) {
      settings.password = try Secret(file: file)
    } catch {
      throw StoreError("\(file): \(error.reason)")
    }
    return settings
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
