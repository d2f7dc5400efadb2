package import Basics
package import OAuth
import Synchronization

/// The clients in use, each with what mints its tokens. It outlives every configuration: what has not changed goes on.
package final class Upstreams: Sendable {
  package let events: AsyncStream<UpstreamEvent>
  private let report: AsyncStream<UpstreamEvent>.Continuation
  private let roster = Mutex(UpstreamRoster<Upstream>())

  package init() { (events, report) = AsyncStream.makeStream() }

  /// Takes over the clients of a configuration. Throws, with nothing changed, if one cannot be used.
  package func replace(with specs: [UpstreamSpec], audiences: AudienceCatalog) throws -> UpstreamChange {
    try roster.withLock { roster in
      let change = try roster.replace(with: specs, audiences: audiences) { try Upstream($0, after: $1) }
      for member in roster.members.values {
        member.source.report(to: report, as: member.ids)
        member.source.seal(with: member.spec.vault(unverified: member.unverified))
      }
      return change
    }
  }

  /// The file that a client's assertions are in has changed. False if no client of this name has this file.
  package func assertionChanged(of name: String, in file: String) -> Bool {
    let client = roster.withLock { roster in
      roster.members[name].flatMap { $0.spec.client.authentication.assertionFile?.path == file ? $0.id : nil }
    }
    if let client { report.yield(.credentialsChanged(client)) }
    return client != nil
  }

  /// Gives a client the secrets that its file has now, the newest first. False if they are those already in use, or
  /// there is no client of this name with this file: the configuration may have another by now.
  package func replaceSecrets(of name: String, in file: String, with secrets: [Secret]) -> Bool {
    let client: UpstreamID? = roster.withLock { roster in
      guard let member = roster.members[name], member.spec.secretFile == file,
        member.spec.client.secrets?.replace(with: secrets) == true
      else { return nil }
      member.source.seal(with: member.spec.vault(unverified: member.unverified))
      return member.id
    }
    if let client { report.yield(.credentialsChanged(client)) }
    return client != nil
  }

  /// When the assertions in clients' files expire, in Unix time, by the clients' names.
  package var assertionExpiries: [String: Double] {
    let files = roster.withLock { $0.members.compactMapValues(\.spec.client.authentication.assertionFile) }
    return files.compactMapValues { $0.status(now: WallClock.now).expiresAt }
  }

  /// The present clients, by their names.
  package var status: [UpstreamStatus] {
    get async {
      let members = roster.withLock { $0.members.values.map { ($0.ids, $0.spec.client, $0.source) } }
      var all: [UpstreamStatus] = []
      for (ids, client, upstream) in members.sorted(by: { $0.1.name < $1.1.name }) {
        all.append(UpstreamStatus(clients: ids, oauth: client, source: await upstream.source.status))
      }
      return all
    }
  }
}

extension Upstreams: TokenMinter {
  package func mint(
    _ key: TokenKey, as credentials: PassThroughCredentials? = nil, in trace: TraceContext? = nil, deadline: Instant
  ) async throws(TokenError) -> MintedToken {
    let (source, verification) = roster.withLock { ($0[key.client]?.source, $0.audiences.verification(of: key)) }
    // Without its own credentials a holder's request must not go out with the client's.
    guard let source, (key.holder == nil) == (credentials == nil) else { throw .reconfigured }
    do throws(TokenError) {
      return try await source.mint(
        key.grant, verify: verification, as: credentials, holder: key.holder, in: trace, deadline: deadline)
    } catch {
      // What a configuration that is gone was refused says nothing of the one there is now.
      guard error.cause == .brokerMisconfigured, credentials == nil,
        let next = roster.withLock({ $0[key.client]?.source }), next !== source
      else { throw error }
      let resends = error.resends + 1
      do throws(TokenError) {
        var minted = try await next.mint(key.grant, verify: verification, in: trace, deadline: deadline)
        minted.resends += resends
        return minted
      } catch {
        var error = error
        error.resends += resends
        throw error
      }
    }
  }

  package func revalidate(
    _ stored: StoredToken, for key: TokenKey, deadline: Instant
  ) async throws(TokenError) -> MintedToken {
    let (source, verification) = roster.withLock { ($0[key.client]?.source, $0.audiences.verification(of: key)) }
    guard let source else { throw .reconfigured }
    return try await source.revalidate(for: stored, key.grant, verify: verification, deadline: deadline)
  }

  package func held(_ key: TokenKey) -> StoredToken? {
    key.holder == nil ? roster.withLock { $0[key.client] }?.source.held(key.grant) : nil
  }

  package func forget(_ key: TokenKey) {
    roster.withLock { $0[key.client] }?.source.forget(key.grant, holder: key.holder)
  }

  /// Where the tenant of the client with this name publishes its keys; nil where that is not known by the deadline.
  package func keySetURL(of name: String?, by deadline: Instant) async -> String? {
    let upstream = roster.withLock { roster in name.flatMap { roster.members[$0]?.source } }
    return await upstream?.source.keySetURL(by: deadline)
  }

  package func vault(of client: UpstreamID) -> Vault? { roster.withLock { $0[client] }?.vault }

  package func pollKeySets(holders: Set<UpstreamID>) async {
    let upstreams = roster.withLock { roster in
      roster.members.values.map { ($0.source, isHolder: $0.ids.contains(where: holders.contains)) }
    }
    await withTaskGroup { group in
      for (upstream, isHolder) in upstreams {
        group.addTask { await upstream.source.pollKeySet(isNeeded: isHolder) }
      }
    }
  }
}

extension TokenError {
  fileprivate static let reconfigured = TokenError(
    cause: .upstreamUnavailable, message: "the configuration has changed meanwhile")
}

/// One client's source of tokens, and what its tokens are sealed with in a store.
final class Upstream: Sendable {
  let source: TokenSource
  private let currentVault = Mutex<Vault?>(nil)
  private let reports = Mutex<Task<Void, Never>?>(nil)

  init(_ spec: UpstreamSpec, after predecessor: Upstream?) throws {
    source = try TokenSource(client: spec.client, connection: spec.connection, after: predecessor?.source)
  }

  deinit { reports.withLock { $0?.cancel() } }

  var vault: Vault? { currentVault.withLock(\.self) }

  func seal(with vault: Vault?) { currentVault.withLock { $0 = vault } }

  /// Reports each key set that is read, from the first call on.
  func report(to events: AsyncStream<UpstreamEvent>.Continuation, as clients: [UpstreamID]) {
    reports.withLock { [source] reports in
      if reports != nil { return }
      reports = Task { for await change in source.keySetChanges { events.yield(.keySetRead(change, of: clients)) } }
    }
  }
}
