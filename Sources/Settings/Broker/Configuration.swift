import Basics
import HTTPServer
import Logging
import OAuth
import IO
import BrokerCore

/// Everything the broker is told, checked: what is in here can be used as it is.
struct Configuration: Sendable {
  /// By their names.
  var clients: [String: ClientSettings] = [:]
  var audiences = AudienceCatalog(listed: [:], other: nil)
  /// nil: whoever can connect is served.
  var callers: CallerSettings?
  var guards = RequestGuards()
  var listen: [ListenAddress] = []
  /// nil: no admin listener.
  var adminListen: SocketAddress?
  /// For listeners with TLS; nil: there are none.
  var tls: TLSContext?
  /// Whoever connects with TLS must show a certificate.
  var requiresClientCertificates = false
  var workers = 1
  var limits = Limits()
  var logging = LogSettings()
  var cache = TokenCache.Rules()
  var upstream = UpstreamSettings()
  var store = StoreSettings()
  var shutdownDelay = Duration.zero
  var shutdownTimeout = Duration.seconds(10)
  /// The files that a change is looked for in, as they were when it was read: its own, and those of TLS.
  var files: [String: SHA256Digest] = [:]
  /// All of it as it is in force, for people.
  var effective: [EffectiveSetting] = []
}

extension Configuration {
  /// What `other` closes and this one leaves open, by its keys.
  func openings(since other: Configuration) -> [String] {
    [
      ("callers", other.callers != nil && callers == nil),
      ("audiences", !other.audiences.isOpen && audiences.isOpen),
      ("allowedHosts", other.guards.allowedHosts != nil && guards.allowedHosts == nil),
      ("requireHeader", other.guards.requiredField != nil && guards.requiredField == nil),
      ("tls.requireClientCertificate", other.requiresClientCertificates && !requiresClientCertificates),
    ].filter(\.1).map(\.0)
  }
}

/// An address of the main listener.
struct ListenAddress: Sendable {
  let address: SocketAddress
  let isTLS: Bool
}

struct UpstreamSettings: Sendable {
  /// For one request.
  var timeout = Duration.seconds(10)
  var connectTimeout = Duration.seconds(5)
  /// nil: as the environment says.
  var proxy: String?
}

/// How log lines are written.
struct LogSettings: Sendable {
  enum Format: String, CaseIterable, Sendable {
    case json, text
  }

  var level = Logger.Level.info
  var format = Format.json
  /// A line for each token that an authenticated caller is given.
  var audits = true
}

/// One thing wrong with the configuration, in one line: the key, where it was set, what was expected.
struct ConfigurationError: Error, CustomStringConvertible {
  let key: String
  let source: String
  let expectation: String

  var description: String { "\(key) (\(source)): \(expectation)" }
}

/// All that is wrong with a configuration.
struct ConfigurationErrors: Error {
  let errors: [ConfigurationError]
}
