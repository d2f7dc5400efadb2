package import Basics
package import BrokerCore

/// Where a Redis or Valkey server is and how to speak to it.
package struct RedisSettings: Sendable {
  package enum Server: Sendable, Hashable {
    /// A name or a numeric address, an IPv6 one without brackets.
    case tcp(host: String, port: UInt16)
    case unix(path: String)
    /// The primary that these Sentinels know by a name, wherever it is at the moment.
    case primary(named: String, by: [Server])
  }

  package var server: Server
  /// TLS with the server's certificate checked, always.
  package var usesTLS = false
  /// The user to log in as; nil for the one that Redis calls `default`.
  package var user: String?
  package var password: Secret?
  /// Read anew for each connection, in place of `password`.
  package var passwordFile: String?
  /// What Sentinels ask for, and where it is read anew for each connection; nil where they ask for nothing.
  package var sentinelPassword: Secret?
  package var sentinelPasswordFile: String?
  package var database = 0
  /// What every key begins with, and the channel.
  package var prefix = "token-broker:"
  /// The CAs that are trusted, in PEM; nil for those that the system trusts.
  package var caFile: String?
  /// The certificate and key, in PEM, that prove who this client is where the server asks; both or neither.
  package var certificateFile: String?
  package var keyFile: String?
  /// How long one operation may take.
  package var timeout = Duration.milliseconds(250)
  /// How long it may take to connect, TLS and login included.
  package var connectTimeout = Duration.seconds(1)

  /// How long after something was refused it is tried whether it still is; nil: nothing is ever tried.
  var trialInterval: Duration? = .seconds(5)

  package init(_ server: Server) { self.server = server }
}

extension RedisSettings.Server {
  /// Whether Sentinels have to say where it is.
  var isWithSentinels: Bool { if case .primary = self { true } else { false } }
}

extension RedisSettings: CustomStringConvertible {
  /// The URL without user and password.
  package var description: String {
    let scheme = usesTLS ? "rediss" : "redis"
    return switch server {
    case .tcp: "\(scheme)://\(server.place)/\(database)"
    case .unix(let path): "redis+unix://\(path)?db=\(database)"
    case .primary(let name, let sentinels):
      "\(scheme)+sentinel://\(sentinels.map(\.place).joined(separator: ","))/\(name)/\(database)"
    }
  }
}

extension RedisSettings {
  /// What the server's certificate must be for.
  var host: String {
    if case .tcp(let host, _) = server { return host }
    return ""
  }

  /// The channel on which a claim's name is published when the claim is given up.
  var channel: String { prefix + "changes" }

  /// Throws what is wrong with them: what does not go together, or certificates that cannot be used.
  package func check() throws(StoreError) {
    if user != nil && password == nil && passwordFile == nil { throw StoreError("there is a user but no password") }
    if (certificateFile == nil) != (keyFile == nil) {
      throw StoreError("a certificate needs its key, and a key its certificate")
    }
    _ = try RedisTarget.context(for: self)
  }
}
