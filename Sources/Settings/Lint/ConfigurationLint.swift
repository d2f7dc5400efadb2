import BrokerCore
package import IO

/// Looks through a finished configuration for what nobody can ever be given, and for what is probably another than was
/// meant. It only warns: an error would keep everything else from being served.
package struct ConfigurationLint {
  /// An address that the broker listens on, or is to listen on, for callers.
  package struct Listener: Sendable {
    let address: SocketAddress
    let isTLS: Bool

    package init(_ address: SocketAddress, isTLS: Bool) {
      self.address = address
      self.isTLS = isTLS
    }
  }

  let configuration: Configuration
  let environment: [String: String]
  let listeners: [Listener]
  let isReadableByOthers: (String) -> Bool

  /// `listeners`: those that there are, such as the sockets that systemd hands over; nil: those that are configured.
  package init(
    _ configuration: Configuration, environment: [String: String], listeners: [Listener]? = nil,
    isReadableByOthers: @escaping (String) -> Bool = { !ThisProcess.isAlone && File.isReadableByOthers($0) }
  ) {
    self.configuration = configuration
    self.environment = environment
    self.listeners = listeners ?? configuration.listen.map { Listener($0.address, isTLS: $0.isTLS) }
    self.isReadableByOthers = isReadableByOthers
  }

  package var warnings: [ConfigurationWarning] {
    openDoors + unusedTLS + proofsWithoutListener + audiencesNotServed + audiencesForNobody + unusedClients
      + readableSecrets + misspeltVariables
  }

  /// Where a setting stands, or the one of its values; nil if it stands nowhere.
  func place(_ key: String, value: String? = nil) -> String? {
    configuration.effective.first { $0.key == key && $0.source != "default" && (value == nil || $0.value == value) }?
      .source
  }

  // MARK: Listeners

  private var openDoors: [ConfigurationWarning] {
    guard configuration.callers == nil else { return [] }
    return listeners.map(\.address).filter { !$0.isLoopback }.map { address in
      ConfigurationWarning(
        subject: "\(address)", isAddress: true, source: place("listen"),
        message: "whoever can connect here is given tokens: no callers are configured",
        remedy: "Name in callers who may have which audiences, or listen on 127.0.0.1 or a Unix socket.")
    }
  }

  private var unusedTLS: [ConfigurationWarning] {
    guard configuration.tls != nil, !listeners.contains(where: \.isTLS) else { return [] }
    return [
      ConfigurationWarning(
        subject: "tls.certificateFile", source: place("tls.certificateFile"),
        message: "nothing is served by TLS: no address of listen begins with https://",
        remedy: "Write https:// before the addresses that are to have it.")
    ]
  }

  // MARK: Clients

  private var unusedClients: [ConfigurationWarning] {
    var used = Set(configuration.audiences.names.compactMap { configuration.audiences[Array($0.utf8)]?.client })
    if configuration.audiences.isOpen, let client = configuration.mainClient { used.insert(client) }
    return configuration.clients.filter { !used.contains($0.key) && !$0.value.isPassThrough }.keys.sorted().compactMap {
      let key = $0 == "default" ? "auth0" : "clients.\($0)"
      guard let source = place("\(key).clientId") else { return nil }
      return ConfigurationWarning(
        subject: key, source: source, message: "no audience is asked from this client",
        remedy: "Name it as the client of an audience, or take it out.")
    }
  }

  // MARK: Secrets

  private var readableSecrets: [ConfigurationWarning] {
    var files = configuration.secretFiles
    // A secret may stand in the configuration file itself.
    for setting in configuration.effective where setting.key.hasSuffix(".clientSecret") {
      guard let file = configuration.file, setting.source.hasPrefix("\(file):") else { continue }
      files.append(SecretFilePath(path: file, key: setting.key, source: setting.source))
    }
    return files.filter { isReadableByOthers($0.path) }.map { file in
      ConfigurationWarning(
        subject: file.key, source: file.source, message: "every user of this machine can read \(Path.shown(file.path))",
        remedy: "Let only the broker's user read it: chmod 0400, or 0440 where its group is the broker's.")
    }
  }

  // MARK: Variables

  private var misspeltVariables: [ConfigurationWarning] {
    Configuration.misspeltVariables(in: environment).map { name, meant in
      ConfigurationWarning(
        subject: name, source: "environment", message: "there is no such variable, so it changes nothing",
        remedy: "Did you mean \(meant)?")
    }
  }
}
