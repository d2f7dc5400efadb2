import Logging
import OAuth
import Sockets

/// Everything the broker is told, checked: what is in here can be used as it is.
struct Configuration: Sendable {
  var client: OAuthClient
  /// Where the client's secrets are read from again when they change.
  var secretFile: String?
  /// Whose certificates are believed upstream.
  var trust: HTTPClient.Trust
  var listen: [SocketAddress]
  /// nil: no admin listener.
  var adminListen: SocketAddress?
  /// The only audiences served, as bytes: equal strings need not be the same audience; nil: any.
  var audiences: Set<[UInt8]>?
  var logging: LogSettings
  var workers: Int
  /// Tokens minted a minute at the most.
  var mintsPerMinute: Int
  /// The tenant's allotment of tokens in a month, and what of it is kept for callers who would otherwise have none.
  var monthlyMints: Int?
  var monthlyReserve: Int
  var requestTimeout = Duration.seconds(30)
  var shutdownDelay = Duration.zero
  var shutdownTimeout = Duration.seconds(10)
}

/// How log lines are written.
struct LogSettings: Sendable {
  enum Format: String, CaseIterable, Sendable {
    case json, text
  }

  var level: Logger.Level
  var format: Format
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
