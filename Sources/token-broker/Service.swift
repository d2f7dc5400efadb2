import Glibc
import HTTPServer
import Logging
import OAuth
import Sockets
import TokenBroker

/// The running broker: its server, its cache and its shutdown, wired from one configuration.
struct Service {
  private let configuration: Configuration
  private let server: Server
  private let health = Health()
  private let log: Logger

  /// Binds the listeners. Throws `Server.BindError` for an address that cannot be had.
  init(_ configuration: Configuration, log: Logger) throws {
    self.configuration = configuration
    self.log = log
    let bindings = configuration.listen + (configuration.adminListen.map { [$0] } ?? [])
    var limits = Limits()
    // The broker answers within the request's time; the server's own deadline only guards against its failing to.
    limits.requestTimeout = configuration.requestTimeout + .seconds(2)
    limits.fit(descriptors: ThisProcess.descriptorLimit, addresses: bindings.count)
    if limits.connections < Limits().connections {
      log.warning(
        "the limit on open files allows fewer connections than usual",
        metadata: ["connections": "\(limits.connections)", "files": "\(ThisProcess.descriptorLimit)"])
    }
    server = try Server(
      label: "http", bindings.map { Server.Binding($0) }, loops: configuration.workers, limits: limits)
  }

  /// The addresses of the main listener.
  var addresses: [SocketAddress] { Array(server.addresses.prefix(configuration.listen.count)) }

  /// Serves until a signal ends it.
  func run() async throws {
    let source = try TokenSource(client: configuration.client, http: HTTPClient(trust: configuration.trust))
    let mailboxes = try (0..<configuration.workers).map { _ throws(SystemError) in
      try Mailbox<TokenTable.Change>()
    }
    var rules = TokenCache.Rules()
    rules.client.mintsPerMinute = configuration.mintsPerMinute
    rules.client.monthlyMints = configuration.monthlyMints
    rules.client.monthlyReserve = configuration.monthlyReserve
    let broker = Broker(
      rules: rules, requestTimeout: configuration.requestTimeout, health: health, log: log,
      publish: { publication in
        let change = TokenTable.Change(publication)
        for mailbox in mailboxes { mailbox.post(change) }
      },
      mint: { key, deadline throws(TokenError) in try await source.mint(key.grant, deadline: deadline) })
    let services = Router.Services(
      broker: broker, health: health, client: configuration.client.name, audiences: configuration.audiences,
      firstAdminBinding: configuration.listen.count, log: log)

    let secretFile = try configuration.secretFile.map { path in
      try FileWatcher(path) { readSecrets(path, broker) }
    }
    let signals = Signals()
    let chores = [
      Task { [stream = signals.stream] in await shutDown(on: stream, broker) },
      Task { await followKeySet(of: source, broker) }, Task { await pollKeySet(of: source) },
    ]
    defer {
      for chore in chores { chore.cancel() }
      withExtendedLifetime((signals, secretFile)) {}
    }
    announce()
    try await server.run { index, loop in
      let router = Router(loop: loop, services: services)
      try mailboxes[index].attach(to: loop) { router.receive($0) }
      return router
    }
    log.info("stopped")
  }

  private func announce() {
    log.info(
      "serving",
      metadata: [
        "addresses": "\(addresses.map(\.description).joined(separator: " "))",
        "admin": "\(configuration.adminListen == nil ? "off" : "\(server.addresses.last.map(\.description) ?? "")")",
        "issuer": "\(configuration.client.issuer)", "workers": "\(configuration.workers)",
        "version": "\(Version.current)",
      ])
    for address in addresses where !address.isLoopback {
      log.warning(
        "whoever can connect here is given tokens: callers are not authenticated",
        metadata: ["address": "\(address)"])
    }
  }

  /// Takes over what the secret file says now; a file that makes no sense changes nothing.
  private func readSecrets(_ path: String, _ broker: Broker) {
    do throws(FileError) {
      let secrets = try EnvironmentReader.secrets(in: File.read(path))
      guard configuration.client.secrets.replace(with: secrets) else { return }
      log.info("the client secret has changed", metadata: ["file": "\(path)"])
      Task { await broker.credentialsChanged(client: configuration.client.name) }
    } catch {
      log.warning("the client secret stays as it was", metadata: ["file": "\(path)", "reason": "\(error.reason)"])
    }
  }

  private func followKeySet(of source: TokenSource, _ broker: Broker) async {
    for await change in source.keySetChanges {
      await broker.keySetChanged(change.keyIDs, client: configuration.client.name, asked: change.asked)
    }
  }

  /// A token signed with a key that has been revoked is noticed within this time, though nothing is minted.
  private func pollKeySet(of source: TokenSource) async {
    // Tenants do not tell that a key was revoked, so they are asked.
    while (try? await Task.sleep(for: .seconds(600))) != nil { await source.pollKeySet() }
  }

  /// The first signal drains, the second ends at once.
  private func shutDown(on signals: AsyncStream<Int32>, _ broker: Broker) async {
    for await signal in signals {
      if signal == SIGHUP {
        if let path = configuration.secretFile { readSecrets(path, broker) }
        log.info("SIGHUP: the secret file was read again; all else is in the environment, which cannot change")
        continue
      }
      if health.isDraining {
        log.warning("second signal: ending at once")
        exit(1)
      }
      health.drain()
      log.info("draining", metadata: ["signal": "\(signal == SIGINT ? "SIGINT" : "SIGTERM")"])
      Task {
        // Accepting goes on for so long, until those who route requests here have seen `/readyz` turn.
        try? await Task.sleep(for: configuration.shutdownDelay)
        server.drain(timeout: configuration.shutdownTimeout)
      }
    }
  }
}

enum Version {
  static let current = "0.1.0"
}
