import Logging
import OAuth
import Sockets

/// Reads a `Configuration` from environment variables and collects every error on the way.
struct EnvironmentReader {
  private let environment: [String: String]
  private let readFile: (String) throws(FileError) -> [UInt8]
  private(set) var errors: [ConfigurationError] = []

  init(
    _ environment: [String: String],
    readFile: @escaping (String) throws(FileError) -> [UInt8] = File.read
  ) {
    // An empty variable is how container platforms spell an unset one.
    self.environment = environment.filter { !$0.value.isEmpty }
    self.readFile = readFile
  }

  /// The whole configuration. Throws all that is wrong with it, at once.
  static func configuration(_ environment: [String: String], isTerminal: Bool) throws(ConfigurationErrors)
    -> Configuration
  {
    var reader = EnvironmentReader(environment)
    let settings = reader.settings(isTerminal: isTerminal)
    let client = reader.client()
    let trust = reader.trust()
    guard let client, reader.errors.isEmpty else { throw ConfigurationErrors(errors: reader.errors) }
    var configuration = settings.configuration(client: client, trust: trust)
    configuration.secretFile = reader.environment["AUTH0_CLIENT_SECRET_FILE"]
    return configuration
  }

  /// The configuration of a broker whose client is known already.
  static func configuration(
    _ environment: [String: String], isTerminal: Bool, client: OAuthClient, trust: HTTPClient.Trust
  ) throws(ConfigurationErrors) -> Configuration {
    var reader = EnvironmentReader(environment)
    let settings = reader.settings(isTerminal: isTerminal)
    guard reader.errors.isEmpty else { throw ConfigurationErrors(errors: reader.errors) }
    return settings.configuration(client: client, trust: trust)
  }

  /// What does not depend on the tenant.
  struct Settings {
    var listen: [SocketAddress] = []
    var adminListen: SocketAddress?
    var audiences: Set<[UInt8]>?
    var logging = LogSettings(level: .info, format: .json)
    var workers = 1
    var mintsPerMinute = 3000
    var monthlyMints: Int?
    var monthlyReserve = 0

    func configuration(client: OAuthClient, trust: HTTPClient.Trust) -> Configuration {
      Configuration(
        client: client, trust: trust, listen: listen, adminListen: adminListen, audiences: audiences,
        logging: logging, workers: workers, mintsPerMinute: mintsPerMinute, monthlyMints: monthlyMints,
        monthlyReserve: monthlyReserve)
    }
  }

  mutating func settings(isTerminal: Bool) -> Settings {
    refuseWhatIsNotHereYet()
    var settings = Settings()
    let addresses = words(of: "BROKER_LISTEN", or: "127.0.0.1:8080")
    if addresses.isEmpty { fail("BROKER_LISTEN", "no address in it; expected host:port") }
    settings.listen = addresses.compactMap { address($0, "BROKER_LISTEN") }
    let admin = environment["BROKER_ADMIN_LISTEN"] ?? "127.0.0.1:8081"
    if admin != "off" { settings.adminListen = address(admin, "BROKER_ADMIN_LISTEN") }
    let audiences = words(of: "BROKER_AUDIENCES", or: "")
    for audience in audiences {
      if let problem = Audience.problem(with: audience) { fail("BROKER_AUDIENCES", problem) }
    }
    settings.audiences = audiences.isEmpty ? nil : Set(audiences.map { Array($0.utf8) })
    settings.logging = logging(isTerminal: isTerminal)
    settings.workers = number("BROKER_WORKERS", in: 1...256) ?? ThisProcess.usableCores
    settings.mintsPerMinute = number("BROKER_MINTS_PER_MINUTE", in: 1...1_000_000) ?? settings.mintsPerMinute
    settings.monthlyMints = number("BROKER_MONTHLY_MINTS", in: 1...1_000_000_000)
    let reserve = number("BROKER_MONTHLY_RESERVE", in: 0...(settings.monthlyMints ?? 0))
    settings.monthlyReserve = reserve ?? (settings.monthlyMints ?? 0) / 5
    return settings
  }

  // MARK: The client

  mutating func client() -> OAuthClient? {
    let base = required("AUTH0_DOMAIN", "your tenant's domain, such as acme.eu.auth0.com").flatMap { tenantURL($0) }
    let id = required("AUTH0_CLIENT_ID", "the client id of a machine-to-machine application")
    let secrets = secrets()
    guard let base, let id, let secrets else { return nil }
    return OAuthClient.auth0(baseURL: base, clientID: id, secrets: secrets)
  }

  /// `https://host[:port]`, without a slash at the end, nor the port that goes without saying: the issuer has neither.
  private mutating func tenantURL(_ domain: String) -> String? {
    let parts = domain.split(separator: "://", maxSplits: 1, omittingEmptySubsequences: false)
    let scheme = parts.count == 2 ? parts[0].lowercased() : "https"
    var authority = (parts.last ?? "").lowercased()
    if authority.last == "/" { authority.removeLast() }
    guard
      let match = authority.wholeMatch(of: /(?<host>[a-z0-9_][a-z0-9._\-]*|\[[0-9a-f:.]+\])(?::(?<port>[0-9]{1,5}))?/),
      match.port.map({ UInt16($0) ?? 0 > 0 }) ?? true,
      scheme == "https" || scheme == "http" && Loopback.contains(match.host)
    else {
      // Without what was found: a URL may hold a password.
      fail(
        "AUTH0_DOMAIN",
        "expected a domain such as acme.eu.auth0.com, or an https:// URL of only a host and perhaps a port; "
          + "http:// is for 127.0.0.1, [::1] and localhost")
      return nil
    }
    let isDefault = match.port == (scheme == "https" ? "443" : "80")
    return "\(scheme)://\(match.host)" + (isDefault ? "" : match.port.map { ":\($0)" } ?? "")
  }

  private mutating func secrets() -> [Secret]? {
    switch (environment["AUTH0_CLIENT_SECRET"], environment["AUTH0_CLIENT_SECRET_FILE"]) {
    case (nil, nil):
      fail("AUTH0_CLIENT_SECRET", "required: the client secret itself here, or its file in AUTH0_CLIENT_SECRET_FILE")
    case (.some, .some):
      fail("AUTH0_CLIENT_SECRET", "set together with AUTH0_CLIENT_SECRET_FILE; expected one of them")
    case (let secret?, nil):
      return [Secret(secret.utf8)]
    case (nil, let path?):
      return secrets(inFile: path)
    }
    return nil
  }

  /// A secret a line, the newest first.
  private mutating func secrets(inFile path: String) -> [Secret]? {
    do throws(FileError) {
      return try Self.secrets(in: readFile(path))
    } catch {
      fail("AUTH0_CLIENT_SECRET_FILE", "\(path): \(error.reason)")
      return nil
    }
  }

  static func secrets(in contents: [UInt8]) throws(FileError) -> [Secret] {
    let lines = contents.split { $0 == 0x0A || $0 == 0x0D }
    if lines.isEmpty { throw FileError(reason: "it is empty; expected the client secret in it") }
    if lines.count > 2 {
      throw FileError(reason: "it has \(lines.count) lines; expected one secret, or the new and the old one")
    }
    return lines.map { Secret($0) }
  }

  mutating func trust() -> HTTPClient.Trust {
    guard let path = environment["AUTH0_CA_FILE"] else { return .system }
    do throws(FileError) {
      let contents = try readFile(path)
      if !String(decoding: contents, as: UTF8.self).contains("-----BEGIN CERTIFICATE-----") {
        fail("AUTH0_CA_FILE", "no PEM certificate in \(path)")
      }
    } catch {
      fail("AUTH0_CA_FILE", "cannot read \(path): \(error.reason)")
    }
    return .file(path)
  }

  // MARK: The rest

  private mutating func refuseWhatIsNotHereYet() {
    for (key, instead) in [
      ("BROKER_CONFIG", "configuration files are not supported yet; use environment variables"),
      ("AUTH0_PRIVATE_KEY_FILE", "private_key_jwt is not supported yet; use a client secret"),
      ("BROKER_STORE_KEY_FILE", "only the store memory: is supported yet, and it needs no key"),
    ] where environment[key] != nil { fail(key, instead) }
    if let store = environment["BROKER_STORE"], store != "memory:" {
      fail("BROKER_STORE", "only memory: is supported yet; found '\(store)'")
    }
  }

  private mutating func address(_ text: String, _ key: String) -> SocketAddress? {
    if text.starts(with: "unix:") || text.starts(with: "https://") {
      fail(key, "'\(text)': Unix sockets and TLS listeners are not supported yet; expected host:port")
      return nil
    }
    do throws(AddressError) {
      return try SocketAddress(parsing: text)
    } catch {
      fail(key, "\(error)")
      return nil
    }
  }

  private mutating func logging(isTerminal: Bool) -> LogSettings {
    var settings = LogSettings(level: .info, format: isTerminal ? .text : .json)
    if let text = environment["BROKER_LOG_LEVEL"] {
      let level = Logger.Level(rawValue: text.lowercased())
      if level == nil {
        let names = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
        fail("BROKER_LOG_LEVEL", "expected one of \(names); found '\(text)'")
      }
      settings.level = level ?? settings.level
    }
    if let text = environment["BROKER_LOG_FORMAT"] {
      let format = LogSettings.Format(rawValue: text.lowercased())
      if format == nil { fail("BROKER_LOG_FORMAT", "expected json or text; found '\(text)'") }
      settings.format = format ?? settings.format
    }
    return settings
  }

  private mutating func number(_ key: String, in range: ClosedRange<Int>) -> Int? {
    guard let text = environment[key] else { return nil }
    guard let number = Int(text), range.contains(number) else {
      fail(key, "expected a number from \(range.lowerBound) to \(range.upperBound); found '\(text)'")
      return nil
    }
    return number
  }

  /// The variable's words, separated by commas or white space.
  private func words(of key: String, or fallback: String) -> [String] {
    (environment[key] ?? fallback).split { $0 == "," || $0.isWhitespace }.map(String.init)
  }

  private mutating func required(_ key: String, _ expectation: String) -> String? {
    if let value = environment[key] { return value }
    fail(key, "required: \(expectation)")
    return nil
  }

  private mutating func fail(_ key: String, _ expectation: String) {
    errors.append(ConfigurationError(key: key, source: "environment", expectation: expectation))
  }
}
