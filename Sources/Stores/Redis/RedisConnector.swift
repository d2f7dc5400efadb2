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
    /// Commands for the server that Sentinels name.
    case primary
    /// Questions to a Sentinel, and to hear from it that another server is the primary now.
    case sentinel, switches
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

  /// What reaches a connector from outside of the loop, for the attempt with this number.
  enum Message: Sendable {
    case prepared(Int, Result<RedisTarget, StoreError>)
    case retry(Int)
  }

  private enum State {
    /// A target is awaited, or the end of a pause.
    case waiting
    case connecting(RedisConnection, RedisTarget, next: Int)
    case open(RedisConnection, since: Instant)
    case closed

    var connection: RedisConnection? {
      switch self {
      case .connecting(let connection, _, _), .open(let connection, _): connection
      case .waiting, .closed: nil
      }
    }
  }

  private let loop: EventLoop
  private let purpose: Purpose
  private var settings: RedisSettings
  private let post: @Sendable (Message) -> Void
  private var report: (Event) -> Void = { _ in }
  private var state = State.waiting
  /// How many connections in a row have not come about or not lasted.
  private var failures = 0
  /// The attempt to connect that is under way. What reaches the loop late for another one counts no more.
  private var attempt = 0
  /// A connection was given up for another, and nobody knows yet whether that will come about.
  private(set) var isChanging = false

  private static let backoff = Backoff(first: .milliseconds(50), longest: .seconds(5))
  /// A connection that was open for longer counts as success.
  private static let lasting = backoff.longest

  /// - Parameter post: brings a message back to the loop and there to `receive`.
  init(_ purpose: Purpose, _ settings: RedisSettings, on loop: EventLoop, post: @escaping @Sendable (Message) -> Void) {
    self.loop = loop
    self.purpose = purpose
    self.settings = settings
    if case .node(let server) = purpose { self.settings.server = server }
    self.post = post
  }

  /// Begins to connect, or where Sentinels say to which server, to wait for `change`. `report` is called on the loop,
  /// with each event.
  func start(report: @escaping (Event) -> Void) {
    self.report = report
    if !settings.server.isWithSentinels { prepare() }
  }

  /// The open connection; nil while there is none.
  var connection: RedisConnection? {
    if case .open(let connection, _) = state { return connection }
    return nil
  }

  func receive(_ message: Message) {
    guard case .waiting = state else { return }
    switch message {
    case .retry(attempt): prepare()
    case .prepared(attempt, .success(let target)): connect(target, from: 0)
    case .prepared(attempt, .failure(let error)): pause(error)
    case .retry, .prepared: break
    }
  }

  /// Takes another server from the next attempt on.
  func move(to server: RedisSettings.Server) { settings.server = server }

  /// Takes another server at once. A connection ends, and an attempt to make one is given up.
  func change(to server: RedisSettings.Server, _ reason: StoreError) {
    let last = state
    if case .closed = last { return }
    settings.server = server
    (state, failures, isChanging) = (.waiting, 0, true)
    last.connection?.close(reason)
    prepare()
  }

  /// Ends a pause between two attempts.
  func hurry() {
    failures = 0
    if case .waiting = state, attempt > 0 { prepare() }
  }

  /// Gives up a connection that is not new.
  func renew(_ reason: StoreError) {
    if case .open(let connection, let since) = state, since.duration(to: loop.now) > Self.lasting {
      connection.close(reason)
    }
  }

  func close() {
    let last = state
    state = .closed
    last.connection?.close(.closed)
  }

  /// Resolves the host and reads certificates and password on another thread, because all may block.
  private func prepare() {
    attempt += 1
    DispatchQueue.global().async { [attempt, settings, post] in
      post(.prepared(attempt, Result { () throws(StoreError) in try RedisTarget(of: settings) }))
    }
  }

  /// Tries the addresses from number `index` on, one after the other.
  private func connect(_ target: RedisTarget, from index: Int, after failure: StoreError? = nil) {
    var failure = failure ?? .closed
    for index in index..<target.addresses.count {
      do throws(StoreError) {
        let handshake = RedisHandshake(target.settings, for: purpose)
        let connection = try RedisConnection(
          to: target.addresses[index], tls: target.tls, target.settings, handshake, on: loop, for: self)
        return state = .connecting(connection, target, next: index + 1)
      } catch {
        failure = error
      }
    }
    pause(failure)
  }

  private func pause(_ reason: StoreError) {
    (state, isChanging) = (.waiting, false)
    report(.lost(reason))
    failures += 1
    let delay = Self.backoff.jitteredDelay(after: failures)
    DispatchQueue.global().asyncAfter(deadline: .now() + .nanoseconds(Int(delay.nanoseconds))) { [attempt, post] in
      post(.retry(attempt))
    }
  }

  // MARK: The connection

  func opened(_ connection: RedisConnection) {
    state = .open(connection, since: loop.now)
    report(.opened)
    isChanging = false
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
