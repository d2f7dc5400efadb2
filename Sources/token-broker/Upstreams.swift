import Clocks
import Logging
import OAuth
import Sockets
import Synchronization
import TokenBroker

/// The clients in use, each with what mints its tokens and keeps them current.
final class Upstreams: Sendable {
  private struct State {
    var clients: [String: Upstream] = [:]
    var audiences = AudienceCatalog(listed: [:], other: nil)
  }

  private let state = Mutex(State())
  private let log: Logger

  init(log: Logger) {
    self.log = log
  }

  /// `brought` are credentials to ask with instead of the client's.
  func mint(_ key: TokenKey, with brought: BroughtCredentials? = nil, deadline: Instant) async throws(TokenError)
    -> MintedToken
  {
    let (source, verification) = state.withLock { ($0.clients[key.client]?.source, $0.audiences.verification(of: key)) }
    // Without its own credentials a holder's request must not go out with the client's.
    guard let source, (key.holder == nil) == (brought == nil) else {
      throw TokenError(code: .brokerMisconfigured, message: "the client '\(key.client)' is no longer configured")
    }
    return try await source.mint(key.grant, verify: verification, as: brought, deadline: deadline)
  }

  /// Takes over the clients of a configuration, and tells `broker` what becomes of them. Returns those whose tokens would now be others.
  func replace(with configuration: Configuration, for broker: Broker? = nil) throws -> Set<String> {
    var clients: [String: Upstream] = [:]
    let before = state.withLock(\.clients)
    for (name, settings) in configuration.clients {
      if let current = before[name]?.settings, current.identity == settings.identity,
        let secrets = current.client.secrets
      {
        settings.client.secrets?.succeed(secrets)
      }
      clients[name] = try Upstream(settings, configuration.upstream, for: broker, log: log)
      if settings.isPassThrough { clients[PassThrough.name(of: name)] = clients[name] }
    }
    state.withLock { $0 = State(clients: clients, audiences: configuration.audiences) }
    return Set(before.filter { clients[$0.key]?.settings.identity != $0.value.settings.identity }.keys)
  }
}

/// One client: its source of tokens, and the chores that end with it.
private final class Upstream: Sendable {
  let settings: ClientSettings
  let source: TokenSource
  private let broker: Broker?
  private let log: Logger
  private let chores: Mutex<[Task<Void, Never>]>
  private let secretFile: Mutex<FileWatcher?>

  init(_ settings: ClientSettings, _ upstream: UpstreamSettings, for broker: Broker?, log: Logger) throws {
    self.settings = settings
    self.broker = broker
    self.log = log
    let http = try HTTPClient(
      trust: settings.trust, proxy: upstream.proxy, userAgent: "token-broker/\(Version.current)",
      connectTimeout: upstream.connectTimeout)
    let (source, name) = (
      TokenSource(client: settings.client, http: http, timeout: upstream.timeout), settings.client.name
    )
    self.source = source
    chores = Mutex([
      Task {
        for await change in source.keySetChanges {
          for name in [name, PassThrough.name(of: name)] {
            await broker?.keySetChanged(change.keyIDs, client: name, asked: change.asked)
          }
        }
      },
      Task {
        // Tenants do not tell that a key was revoked, so they are asked. A token signed with it goes within this time.
        while (try? await Task.sleep(for: .seconds(600))) != nil { await source.pollKeySet() }
      },
    ])
    secretFile = Mutex(nil)
    if let path = settings.secretFile {
      let watcher = try FileWatcher(path) { [weak self] in self?.readSecrets() }
      secretFile.withLock { $0 = watcher }
    }
  }

  deinit {
    chores.withLock { for chore in $0 { chore.cancel() } }
  }

  /// Takes over what the secret file says now; a file that makes no sense changes nothing.
  func readSecrets() {
    guard let path = settings.secretFile else { return }
    let name = settings.client.name
    do throws(FileError) {
      guard settings.client.secrets?.replace(with: try SecretFile(path).secrets) == true else { return }
      log.info("the client secret has changed", metadata: ["client": "\(name)", "file": "\(path)"])
      Task { [broker] in await broker?.credentialsChanged(client: name) }
    } catch {
      log.warning("the client secret stays as it was", metadata: ["file": "\(path)", "reason": "\(error.reason)"])
    }
  }
}
