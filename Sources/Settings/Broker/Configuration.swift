package import Basics
package import BrokerAPI
package import IO
package import BrokerCore
package import HTTPServer
package import Telemetry

/// Everything the broker is told, checked: what is in here can be used as it is.
package struct Configuration: Sendable {
  /// By their names.
  package var clients: [String: ClientSettings] = [:]
  /// The client that audiences are asked from where nothing names another: the one called `default`, or the only one.
  package internal(set) var mainClient: String?
  package var audiences = AudienceCatalog(listed: [:], other: nil)
  /// nil: whoever can connect is served.
  package var callers: Callers?
  package var guards = RequestGuards()
  /// What clients reach the broker by, as they see it; nil: as each request says.
  package var publicURL: URLParts?
  package var listen: [ListenAddress] = []
  /// Where the PROXY protocol is taken from, on listeners that require it.
  package var proxies: [AddressRange] = []
  /// nil: no admin listener.
  package var adminListen: SocketAddress?
  /// For listeners with TLS; nil: there are none.
  package var tls: TLSContext?
  package var workers = 1
  package var limits = Limits()
  package var logging = LogSettings()
  package var cache = TokenCache.Rules()
  package var upstream = UpstreamSettings()
  package var store = StoreSettings()
  /// How long after the start `/readyz` waits for a first success, at the most, and whether for all that is prefetched.
  package var startupTimeout = Duration.seconds(10)
  package var waitsForPrefetch = false
  package var shutdownDelay = Duration.zero
  package var shutdownTimeout = Duration.seconds(10)
  /// Those that it has to show, and those that it knows callers by.
  package var certificates: [OwnCertificate] = []
  /// The files that a change is looked for in, as they were when it was read: its own, and those of certificates.
  package var files: [String: SHA256Digest] = [:]
  /// All of it as it is in force, for people.
  package var effective: [EffectiveSetting] = []
  /// Its own file; nil if all of it comes from the environment.
  package var file: String?
  /// Those that only the broker should be able to read.
  package var secretFiles: [SecretFilePath] = []
  /// Those in force that cannot be given up while the process runs.
  var restrictions: Set<String> = []
}

extension Configuration {
  /// The settings that close something in `other` and are given up here, by their keys.
  package func openings(since other: Configuration) -> [String] {
    other.restrictions.subtracting(restrictions).subtracting(restrictionsOfGone(since: other)).sorted()
  }

  /// A caller that is gone has nothing to open. If it comes back it is to be as restricted as it was.
  package mutating func keepRestrictions(of other: Configuration) {
    restrictions.formUnion(restrictionsOfGone(since: other))
  }

  private func restrictionsOfGone(since other: Configuration) -> Set<String> {
    other.restrictions.filter { key in
      guard key.hasPrefix("callers."), let end = key.lastIndex(of: ".") else { return false }
      return callers?.byName[String(key[..<end].dropFirst("callers.".count))] == nil
    }
  }

  /// The settings that are others here than in `other`, and count from the next start only.
  package func waitingForNextStart(since other: Configuration) -> [String] {
    func values(_ configuration: Configuration) -> [String: String] {
      let settings = configuration.effective.filter { $0.effect == .nextStart }
      return Dictionary(settings.map { ($0.key, $0.value) }) { "\($0), \($1)" }
    }
    let (before, after) = (values(other), values(self))
    return Set(before.keys).union(after.keys).filter { before[$0] != after[$0] }.sorted()
  }
}

/// An address of the main listener.
package struct ListenAddress: Sendable {
  package let address: SocketAddress
  package let isTLS: Bool
  /// Each connection begins with the header of the PROXY protocol.
  package let requiresProxy: Bool
}

package struct UpstreamSettings: Sendable {
  /// For one request.
  package var timeout = Duration.seconds(10)
  package var connectTimeout = Duration.seconds(5)
  /// nil: as the environment says.
  package var proxy: String?
}

/// One thing wrong with the configuration, in one line: the key, where it was set, what was expected.
package struct ConfigurationError: Error, CustomStringConvertible {
  package let key: String
  package let source: String
  package let expectation: String

  package var description: String { "\(key) (\(source)): \(expectation)" }
}

/// All that is wrong with a configuration.
package struct ConfigurationErrors: Error {
  package let errors: [ConfigurationError]
}
