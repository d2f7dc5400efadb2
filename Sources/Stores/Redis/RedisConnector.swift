import Basics
import BrokerCore
import Dispatch
import IO

/// Makes one connection to the server, on its loop. When that is lost it makes another, after a pause that grows.
final class RedisConnector: RedisConnection.Owner {
  enum Purpose: Sendable {
    case commands, changes
    /// Commands for one node of a cluster.
    case node(RedisTopology.Node)
  }

  enum Event {
    case opened
    /// What was published on the channel for changes.
    case published([UInt8])
    /// A node of a cluster answers that the request is for another node, or not for now.
    case redirected(RedisRequest, String)
    /// The connection is lost, or an attempt to make one has failed.
    case lost(StoreError)
  }

  /// What reaches a connector from outside of the loop.
  enum Message: Sendable {
    case prepared(Result<RedisTarget, StoreError>)
    case retry
  }

  private enum State {
    /// A target is awaited, or the end of a pause.
    case waiting
    case connecting(RedisConnection, RedisTarget, next: Int)
    case open(RedisConnection, since: Instant)
    case closed
  }

  private let loop: EventLoop
  private var settings: RedisSettings
  private let handshake: RedisHandshake
  private let post: @Sendable (Message) -> Void
  private var report: (Event) -> Void = { _ in }
  private var state = State.waiting
  /// How many connections in a row have not come about or not lasted.
  private var failures = 0

  private static let backoff = Backoff(first: .milliseconds(50), longest: .seconds(5))
  /// A connection that was open for longer counts as success.
  private static let lasting = backoff.longest

  /// - Parameter post: brings a message back to the loop and there to `receive`.
  init(_ purpose: Purpose, _ settings: RedisSettings, on loop: EventLoop, post: @escaping @Sendable (Message) -> Void) {
    self.loop = loop
    self.settings = settings
    if case .node(let server) = purpose { self.settings.server = server }
    handshake = RedisHandshake(settings, for: purpose)
    self.post = post
  }

  /// Begins to connect. `report` is called on the loop, with each event.
  func start(report: @escaping (Event) -> Void) {
    self.report = report
    prepare()
  }

  /// The open connection; nil while there is none.
  var connection: RedisConnection? {
    if case .open(let connection, _) = state { return connection }
    return nil
  }

  func receive(_ message: Message) {
    guard case .waiting = state else { return }
    switch message {
    case .retry: prepare()
    case .prepared(.success(let target)): connect(target, from: 0)
    case .prepared(.failure(let error)): pause(error)
    }
  }

  /// Takes another server from the next attempt on.
  func move(to server: RedisSettings.Server) { settings.server = server }

  /// Gives up a connection that is not new.
  func renew(_ reason: StoreError) {
    if case .open(let connection, let since) = state, since.duration(to: loop.now) > Self.lasting {
      connection.close(reason)
    }
  }

  func close() {
    let last = state
    state = .closed
    switch last {
    case .connecting(let connection, _, _), .open(let connection, _): connection.close(.closed)
    case .waiting, .closed: break
    }
  }

  /// Resolves the host and reads the certificates on another thread, because both may block.
  private func prepare() {
    DispatchQueue.global().async { [settings, post] in
      post(.prepared(Result { () throws(StoreError) in try RedisTarget(of: settings) }))
    }
  }

  /// Tries the addresses from number `index` on, one after the other.
  private func connect(_ target: RedisTarget, from index: Int, after failure: StoreError? = nil) {
    var failure = failure ?? .closed
    for index in index..<target.addresses.count {
      do throws(StoreError) {
        let connection = try RedisConnection(
          to: target.addresses[index], tls: target.tls, settings, handshake, on: loop, for: self)
        return state = .connecting(connection, target, next: index + 1)
      } catch {
        failure = error
      }
    }
    pause(failure)
  }

  private func pause(_ reason: StoreError) {
    state = .waiting
    report(.lost(reason))
    failures += 1
    let delay = Self.backoff.jitteredDelay(after: failures)
    DispatchQueue.global().asyncAfter(deadline: .now() + .nanoseconds(Int(delay.nanoseconds))) { [post] in
      post(.retry)
    }
  }

  // MARK: The connection

  func opened(_ connection: RedisConnection) {
    state = .open(connection, since: loop.now)
    report(.opened)
  }

  func published(_ payload: [UInt8]) { report(.published(payload)) }

  func redirected(_ request: RedisRequest, _ error: String) { report(.redirected(request, error)) }

  func closed(_ connection: RedisConnection, _ reason: StoreError) {
    switch state {
    case .connecting(_, let target, let next): connect(target, from: next, after: reason)
    case .open(_, let since):
      if since.duration(to: loop.now) > Self.lasting { failures = 0 }
      pause(reason)
    case .waiting, .closed: break
    }
  }
}
