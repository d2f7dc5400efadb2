import Basics
import Logging
import OAuth
import IO
import Synchronization
import BrokerCore
import HTTPClient
import Settings
import Telemetry

/// The clients in use, each with what mints its tokens and keeps them current.
final class Upstreams: Sendable {
  private struct State {
    /// The present ones, and those they have replaced, for what is still under way.
    var clients: [UpstreamID: Upstream] = [:]
    var present: Set<UpstreamID> = []
    /// What made the present ones what they are.
    var identities: [String: [String]] = [:]
    var generations: [String: Int] = [:]
    var audiences = AudienceCatalog(listed: [:], other: nil)
  }

  /// What a configuration has made of the clients.
  struct Change {
    /// With the present clients in it.
    let audiences: AudienceCatalog
    let passThrough: UpstreamID?
    /// Those that are no longer there.
    let retired: Set<UpstreamID>
  }

  private let state = Mutex(State())
  private let log: Logger

  init(log: Logger) {
    self.log = log
  }

  /// `brought` are credentials to ask with instead of the client's.
  func mint(
    _ key: TokenKey, with brought: PassThroughCredentials? = nil, in trace: TraceContext? = nil, deadline: Instant
  ) async throws(TokenError) -> MintedToken {
    let (source, verification) = state.withLock { ($0.clients[key.client]?.source, $0.audiences.verification(of: key)) }
    // Without its own credentials a holder's request must not go out with the client's.
    guard let source, (key.holder == nil) == (brought == nil) else {
      throw .reconfigured
    }
    return try await source.mint(key.grant, verify: verification, as: brought, in: trace, deadline: deadline)
  }

  /// Vouches for a token of `key` that a store has kept.
  func revalidate(for kept: StoredToken, _ key: TokenKey, deadline: Instant) async throws(TokenError) -> MintedToken {
    let (source, verification) = state.withLock { ($0.clients[key.client]?.source, $0.audiences.verification(of: key)) }
    guard let source else { throw .reconfigured }
    return try await source.revalidate(for: kept, key.grant, verify: verification, deadline: deadline)
  }

  /// What the values of a client are sealed with in a store; nil for one that shares nothing.
  func vault(of client: UpstreamID) -> Vault? { state.withLock { $0.clients[client] }?.vault }

  /// The present clients, by their names.
  var status: [UpstreamStatus] {
    get async {
      let present = state.withLock { state in state.present.compactMap { state.clients[$0] } }
      var all: [String: UpstreamStatus] = [:]
      for upstream in present {
        let oauth = upstream.settings.client
        all[oauth.name] = UpstreamStatus(clients: upstream.clients, oauth: oauth, source: await upstream.source.status)
      }
      return all.sorted { $0.key < $1.key }.map(\.value)
    }
  }

  /// Takes over the clients of a configuration, and tells `broker` what becomes of them.
  func replace(with configuration: Configuration, for broker: Broker? = nil) throws -> Change {
    let before = state.withLock(\.self)
    var next = State(generations: before.generations, audiences: configuration.audiences)
    for (name, settings) in configuration.clients {
      // A token that was not checked must not pass for one that was.
      let identity = settings.identity + ["unverified:"] + configuration.audiences.unverified(of: name)
      next.identities[name] = identity
      if let old = before.identities[name], old != identity { next.generations[name, default: 0] += 1 }
      let client = UpstreamID(name, generation: next.generations[name] ?? 0)
      if let secrets = before.clients[client]?.settings.client.secrets { settings.client.secrets?.succeed(secrets) }
      let sealing = configuration.store.isShared ? Sealing(keys: configuration.store.keys, identity: identity) : nil
      let upstream = try Upstream(settings, as: client, configuration.upstream, sealing, for: broker, log: log)
      for client in upstream.clients { next.clients[client] = upstream }
    }
    for name in before.identities.keys where next.identities[name] == nil { next.generations[name, default: 0] += 1 }
    next.present = Set(next.clients.keys)
    let retired = before.present.subtracting(next.present)
    for client in retired { next.clients[client] = before.clients[client] }
    state.withLock { [next] in $0 = next }
    let audiences = configuration.audiences.with(generations: next.generations)
    let passThrough = configuration.clients.first { $0.value.isPassThrough }.map { name, _ in
      UpstreamID(name, generation: next.generations[name] ?? 0).passThrough
    }
    return Change(audiences: audiences, passThrough: passThrough, retired: retired)
  }
}

extension TokenError {
  fileprivate static let reconfigured = TokenError(
    cause: .upstreamUnavailable, message: "the configuration has changed meanwhile")
}

extension UpstreamID {
  /// The same client for those with credentials of their own: what happens to theirs is not its own affair.
  var passThrough: UpstreamID { UpstreamID("\(name) (pass-through)", generation: generation) }
}

/// What a client's values in a store are sealed with, and for whom.
private struct Sealing: Sendable {
  /// nil: with the client's own secrets.
  let keys: [Secret]?
  let identity: [String]

  func vault(_ client: OAuthClient) -> Vault? {
    Vault(secrets: keys ?? client.secrets?.candidates ?? [], identity: identity)
  }
}

extension ServerConnection {
  /// To the client's tenant.
  init(to settings: ClientSettings, _ upstream: UpstreamSettings) {
    self.init(
      trust: settings.trust, proxy: upstream.proxy, userAgent: "token-broker/\(Version.current)",
      connectTimeout: upstream.connectTimeout, timeout: upstream.timeout)
  }
}

/// One client: its source of tokens, and the chores that end with it.
private final class Upstream: Sendable {
  let settings: ClientSettings
  let source: TokenSource
  /// What the cache knows it as.
  let clients: [UpstreamID]
  private let broker: Broker?
  private let log: Logger
  private let chores: Mutex<[Task<Void, Never>]>
  private let secretFile: Mutex<FileWatcher?>
  /// nil: nothing of it is kept anywhere else.
  private let sealing: Sealing?
  private let currentVault: Mutex<Vault?>

  var vault: Vault? { currentVault.withLock(\.self) }

  init(
    _ settings: ClientSettings, as client: UpstreamID, _ upstream: UpstreamSettings, _ sealing: Sealing?,
    for broker: Broker?, log: Logger
  ) throws {
    self.settings = settings
    self.broker = broker
    self.log = log
    let source = try TokenSource(client: settings.client, connection: ServerConnection(to: settings, upstream))
    let clients = settings.isPassThrough ? [client, client.passThrough] : [client]
    self.source = source
    self.clients = clients
    self.sealing = sealing
    currentVault = Mutex(sealing?.vault(settings.client))
    chores = Mutex([
      Task {
        for await change in source.keySetChanges {
          for client in clients {
            await broker?.keySetChanged(change.keyIDs, client: client, asked: change.asked)
          }
        }
      },
      Task {
        // Tenants do not tell that a key was revoked, so they are asked. A token signed with it goes within this time.
        while (try? await Task.sleep(for: .seconds(600))) != nil {
          await source.pollKeySet(isNeeded: broker?.holdsSignedTokens(of: clients) ?? false)
        }
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
    let client = clients[0]
    do throws(FileError) {
      guard settings.client.secrets?.replace(with: try SecretFile(path).secrets) == true else { return }
      currentVault.withLock { $0 = sealing?.vault(settings.client) }
      log.info("the client secret has changed", metadata: ["client": "\(client.name)", "file": "\(path)"])
      Task { [broker] in await broker?.credentialsChanged(client: client) }
    } catch {
      log.warning("the client secret stays as it was", metadata: ["file": "\(path)", "reason": "\(error.reason)"])
    }
  }
}
