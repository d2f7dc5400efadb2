import Basics
import BrokerAPI
import Logging
import OAuth
import IO
import BrokerCore
import HTTPServer
package import Telemetry

extension Configuration {
  /// Where a configuration comes from.
  package struct Origin: Sendable {
    package var environment: [String: String]
    /// Whether a person reads what goes to standard error.
    package private(set) var isTerminal: Bool
    /// In place of every client's tenant.
    package var embedded: EmbeddedTenant?

    /// This process's environment, with the configuration file that a command names on top.
    package init(file: String?) {
      environment = ProcessEnvironment.variables
      isTerminal = StandardStream.error.isTerminal
      if let file { environment["BROKER_CONFIG"] = file }
    }

    init(environment: [String: String], isTerminal: Bool) {
      self.environment = environment
      self.isTerminal = isTerminal
    }

    /// Nothing is said, neither in a file nor in the environment.
    package var isEmpty: Bool {
      file == nil
        && !environment.contains { ["AUTH0_", "BROKER_"].contains(where: $0.key.hasPrefix) && $0.value != "" }
    }

    /// The configuration file; nil: there is none.
    package var file: String? { environment["BROKER_CONFIG"].flatMap { $0.isEmpty ? nil : $0 } }
  }

  /// Reads all of it. Throws all that is wrong with it, at once. What is counted and known goes over from `previous`.
  package init(from origin: Origin, after previous: Configuration? = nil) throws(ConfigurationErrors) {
    let reader = SettingsReader(environment: origin.environment, fileName: origin.file)
    var configuration = Configuration()
    let document = try Self.document(origin.file)
    reader.read(document?.root) { root in configuration.read(root, origin, after: previous) }
    if reader.hasErrors {
      // What is missing may be there under another name.
      for (name, meant) in Self.misspeltVariables(in: reader.environment) {
        reader.fail(name, "no such variable; did you mean '\(meant)'?")
      }
    }
    try reader.finish()
    configuration.effective = reader.effective
    configuration.restrictions = reader.restrictions
    configuration.secretFiles = reader.secretFiles
    configuration.file = origin.file
    if let document, let file = origin.file { configuration.files[file] = document.digest }
    self = configuration
  }

  /// How log lines are written, whatever else there is, for errors before there is a log. Where even that cannot be
  /// read, as if nothing were said of it.
  package static func logFormat(from origin: Origin) -> LogSettings.Format {
    let reader = SettingsReader(environment: origin.environment, fileName: origin.file)
    var format: LogSettings.Format?
    reader.read((try? document(origin.file))?.root) { root in
      root.section("log") { log in
        format = log.value("format", environment: "BROKER_LOG_FORMAT", .word)
        log.ignore()
      }
      root.ignore()
    }
    return format ?? (origin.isTerminal ? .text : .json)
  }

  static func document(_ path: String?) throws(ConfigurationErrors) -> (root: YAMLNode, digest: SHA256Digest)? {
    guard let path else { return nil }
    func wrong(_ source: String, _ reason: String) -> ConfigurationErrors {
      ConfigurationErrors(errors: [ConfigurationError(key: "configuration", source: source, expectation: reason)])
    }
    let bytes: [UInt8]
    do throws(FileError) {
      bytes = try File.read(path)
    } catch {
      throw wrong(path, "\(error.reason); expected a file where --config or BROKER_CONFIG says")
    }
    var root: YAMLNode?
    do throws(YAMLError) {
      root = try YAMLParser.parse(bytes)
    } catch {
      throw wrong("\(path):\(error.mark)", error.reason)
    }
    // One that was cut short must not open what it closed.
    guard let root else { throw wrong(path, "the file is empty; expected at least a client, under auth0 or clients") }
    return (root, SHA256Digest(of: bytes.span))
  }

  mutating func read(_ root: Section, _ origin: Origin, after previous: Configuration?) {
    readServer(root, isTerminal: origin.isTerminal)
    readCache(root)
    readAudiences(root, clients: readClients(root, origin.embedded))
    callers = Callers(root, after: previous?.callers)
    if let embedded = origin.embedded { extend(for: embedded) }
    guards = RequestGuards(root)
    publicURL = root.value("publicURL", .publicURL)
    readStore(root)
  }

  // MARK: The server

  private mutating func readServer(_ root: Section, isTerminal: Bool) {
    listen =
      root.values("listen", environment: "BROKER_LISTEN", .listenAddress, standard: "127.0.0.1:8080", .nextStart) ?? []
    readTLS(root)
    readProxies(root)
    root.section("admin", .nextStart) { admin in
      let standard = "127.0.0.1:8081"
      adminListen = admin.value("listen", environment: "BROKER_ADMIN_LISTEN", .addressOrOff, standard: standard) ?? nil
      refuseSharedAddresses(root, admin)
    }
    workers = root.value(
      "workers", environment: "BROKER_WORKERS", .number(1...256), default: ThisProcess.usableCores, .nextStart)
    root.section("limits", .nextStart) { section in
      let (seconds, minutes) = (Duration.seconds(1)...(.seconds(60)), Duration.seconds(1)...(.seconds(3600)))
      limits.connections = section.value("connections", .number(1...1_000_000), default: limits.connections)
      limits.requestsPerConnection = section.value(
        "requestsPerConnection", .number(1...1_000_000_000), default: limits.requestsPerConnection)
      limits.headBytes = section.value("headerBytes", .size(1024...(1 << 20)), default: limits.headBytes)
      limits.requestLineBytes = min(limits.requestLineBytes, limits.headBytes)
      limits.bodyBytes = section.value("bodyBytes", .size(1024...(1 << 20)), default: limits.bodyBytes)
      limits.headTimeout = section.value("headerTimeout", .duration(seconds), default: limits.headTimeout)
      limits.bodyTimeout = section.value("bodyTimeout", .duration(seconds), default: limits.bodyTimeout)
      limits.requestTimeout = section.value("requestTimeout", .duration(seconds), default: limits.requestTimeout, .live)
      limits.writeTimeout = section.value("writeTimeout", .duration(seconds), default: limits.writeTimeout)
      limits.idleTimeout = section.value("idleTimeout", .duration(minutes), default: limits.idleTimeout)
      cache.maxWaiters = section.value("waitingRequests", .number(2...1_000_000), default: cache.maxWaiters, .live)
    }
    root.section("log") { section in
      let format: LogSettings.Format = isTerminal ? .text : .json
      logging.level = section.value("level", environment: "BROKER_LOG_LEVEL", .word, default: logging.level)
      logging.format = section.value("format", environment: "BROKER_LOG_FORMAT", .word, default: format)
      logging.audits = section.value("audit", .flag, default: logging.audits)
    }
    root.section("readiness", .nextStart) { section in
      let range = Duration.zero...(.seconds(3600))
      waitsForPrefetch = section.value("waitForPrefetch", .flag, default: waitsForPrefetch)
      startupTimeout = section.value("startupTimeout", .duration(range), default: startupTimeout)
    }
    root.section("shutdown") { section in
      let range = Duration.zero...(.seconds(3600))
      shutdownDelay = section.value("delay", .duration(range), default: shutdownDelay)
      shutdownTimeout = section.value("timeout", .duration(range), default: shutdownTimeout)
    }
  }

  /// No two listeners can have one address.
  private func refuseSharedAddresses(_ root: Section, _ admin: Section) {
    for (index, one) in listen.enumerated() {
      if listen[..<index].contains(where: { $0.address.overlaps(one.address) }) {
        root.fail("listen", environment: "BROKER_LISTEN", "\(one.address) can be listened on only once")
      }
      if let adminListen, adminListen.overlaps(one.address) {
        admin.fail(
          "listen", environment: "BROKER_ADMIN_LISTEN",
          "\(one.address) of listen can be listened on only once; expected another port, or off")
      }
    }
  }

  private mutating func readProxies(_ root: Section) {
    proxies = root.values("proxyFrom", .addressRange, .nextStart) ?? []
    let isWanted = listen.contains(where: \.requiresProxy)
    if isWanted, !root.has("proxyFrom") {
      root.fail("proxyFrom", "required for listeners with ?proxy=required: the proxies' addresses, such as 10.0.0.0/8")
    }
    if !isWanted, root.has("proxyFrom") { root.fail("proxyFrom", "expected a listener with ?proxy=required, too") }
  }

  private mutating func readTLS(_ root: Section) {
    let isWanted = listen.contains(where: \.isTLS)
    root.section("tls") { section in
      let certificate = section.value("certificateFile", .certificates)
      let key = section.value("keyFile", .privateKeyFile)
      let authorities = section.value("clientCAFile", .certificates)
      let isRequired = section.value("requireClientCertificate", .flag, default: false, .liveOnlyNarrowed)
      guard isWanted || section.mark != nil else { return }
      for name in ["certificateFile", "keyFile"] where !section.has(name) {
        section.fail(name, "required for listeners with https://: a file in PEM")
      }
      if isRequired, authorities == nil {
        section.fail("requireClientCertificate", "without clientCAFile no certificate can be checked")
      }
      if isRequired && isWanted { section.restrict("requireClientCertificate") }
      guard let certificate, let key else { return }
      // Before they are read once more: a change between the two is not missed.
      for case let file? in [certificate, key, authorities] { files[file] = File.digest(file) }
      do throws(TLSError) {
        let clients = authorities.map { isRequired ? TLSContext.Clients.required(.file($0)) : .optional(.file($0)) }
        tls = try TLSContext(
          certificate: .file(certificate), key: .file(key), clients: clients ?? .anonymous, offersHTTP2: true)
        guard isWanted else { return }
        certificates += OwnCertificate.chain(.listener, in: certificate)
        if let authorities { certificates += OwnCertificate.authorities(.clientCA, in: authorities) }
      } catch {
        section.fail("certificateFile", "\(error)")
      }
    }
  }

  // MARK: Tokens

  private mutating func readCache(_ root: Section) {
    let (zero, hour, day) = (Duration.zero, Duration.seconds(3600), Duration.seconds(86400))
    root.section("cache") { section in
      cache.maxEntries = section.value("maxEntries", .number(1...10_000_000), default: cache.maxEntries)
      cache.minRemaining = section.value("minRemaining", .duration(zero...hour), default: cache.minRemaining)
      cache.refreshBefore = section.value("refreshBefore", .duration(.seconds(1)...day))
      cache.minRefreshInterval = section.value(
        "minRefreshInterval", .duration(.seconds(1)...hour), default: cache.minRefreshInterval)
    }
    root.section("upstream") { section in
      let seconds = Duration.milliseconds(100)...Duration.seconds(60)
      upstream.timeout = section.value("timeout", .duration(seconds), default: upstream.timeout)
      upstream.connectTimeout = section.value("connectTimeout", .duration(seconds), default: upstream.connectTimeout)
      upstream.proxy = section.value("proxy", .proxy)
      cache.client.maxConcurrent = section.value(
        "maxConcurrent", .number(1...1000), default: cache.client.maxConcurrent)
      cache.client.mintsPerMinute = section.value(
        "mintsPerMinute", environment: "BROKER_MINTS_PER_MINUTE", .number(1...1_000_000),
        default: cache.client.mintsPerMinute)
      cache.refusalsPerMinute = section.value(
        "refusalsPerMinute", .number(1...1_000_000), default: cache.refusalsPerMinute)
    }
    root.section("budget") { section in
      let most = 1_000_000_000
      cache.client.monthlyMints = section.value("monthlyMints", environment: "BROKER_MONTHLY_MINTS", .number(1...most))
      let mints = cache.client.monthlyMints
      cache.client.monthlyReserve = section.value(
        "reserve", environment: "BROKER_MONTHLY_RESERVE", .number(0...(mints ?? most)), default: (mints ?? 0) / 5)
      if mints == nil, section.has("reserve", environment: "BROKER_MONTHLY_RESERVE") {
        section.fail(
          "reserve", environment: "BROKER_MONTHLY_RESERVE", "without monthlyMints there is nothing to reserve")
      }
    }
  }

  private mutating func readAudiences(_ root: Section, clients: [String]) {
    let standard = clients.contains("default") ? "default" : clients.count == 1 ? clients.first : nil
    mainClient = standard
    var listed: [[UInt8]: AudienceCatalog.Entry] = [:]
    func add(_ audience: String?, _ entry: AudienceCatalog.Entry) {
      guard let audience else { return }
      if listed.updateValue(entry, forKey: Array(audience.utf8)) != nil {
        root.fail("audiences", environment: "BROKER_AUDIENCES", "'\(audience)' stands there twice")
      }
    }
    func word(_ audience: String) {
      guard let standard else {
        return root.fail(
          "audiences", environment: "BROKER_AUDIENCES", "'\(audience)' names no client, and there is more than one")
      }
      if let problem = uncheckable(standard) {
        root.fail("audiences", environment: "BROKER_AUDIENCES", "'\(audience)': expected verify: opaque, \(problem)")
      }
      add(audience, AudienceCatalog.Entry(client: standard))
    }
    if root.isFromEnvironment("BROKER_AUDIENCES") {
      root.values("audiences", environment: "BROKER_AUDIENCES", .audience, .liveOnlyNarrowed)?.forEach(word)
    } else {
      _ = root.elements("audiences", environment: "BROKER_AUDIENCES", .audience, .liveOnlyNarrowed) {
        section -> String? in
        let name = section.value("audience", .audience)
        if name == nil, !section.has("audience") { section.fail("audience", "required: the API's identifier") }
        let entry = entry(section, clients: clients, standard: standard)
        if let entry { add(name, entry) }
        return nil
      }?.forEach(word)
    }
    let isOpen = !root.has("audiences", environment: "BROKER_AUDIENCES")
    if !isOpen { root.restrict("audiences") }
    if isOpen, standard == nil {
      root.fail("audiences", "required with several clients and none called default: a list that gives each its client")
    }
    if isOpen, let problem = standard.flatMap(uncheckable) {
      root.fail("audiences", "required: a list of audiences with verify: opaque, \(problem)")
    }
    audiences = AudienceCatalog(
      listed: listed, other: isOpen ? standard.map { AudienceCatalog.Entry(client: $0) } : nil)
  }

  /// Why tokens of this client cannot be checked; nil where they can.
  private func uncheckable(_ client: String) -> String? {
    guard let settings = clients[client], !settings.client.canVerify else { return nil }
    return "because the client '\(client)' has no keys to check tokens with: its issuer alone, or jwksURL and issuer "
      + "beside its tokenURL, tell where they are"
  }

  private func entry(_ section: Section, clients: [String], standard: String?) -> AudienceCatalog.Entry? {
    let client = section.value("client", .oneOf(clients.sorted())) ?? standard
    if client == nil, !section.has("client") {
      section.fail("client", "required: there is more than one client, and none called default")
    }
    let scope = section.value("scope", .scope)
    let organization = section.value("organization", .text("an organization"))
    let verification = section.value("verify", .verification, default: .jwt)
    let isPrefetched = section.value("prefetch", .flag, default: false)
    if verification == .jwt, let problem = client.flatMap(uncheckable) {
      section.fail("verify", "expected opaque, \(problem)")
    }
    return client.map {
      AudienceCatalog.Entry(
        client: $0, scope: scope, organization: organization, verification: verification, isPrefetched: isPrefetched)
    }
  }
}
