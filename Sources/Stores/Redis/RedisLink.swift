import Basics
import Dispatch
import IO
import BrokerCore

/// Keeps one connection to the server on its loop: when it is lost, it is made anew, after a pause that grows.
final class RedisLink: RedisConnection.Owner {
  enum Purpose: Sendable {
    case commands, changes
  }

  enum Event {
    case opened
    case heard([UInt8])
    /// Told of each attempt that fails, too.
    case lost(StoreError)
  }

  /// What reaches the link from outside of the loop.
  enum Message: Sendable {
    case prepared(Result<RedisTarget, StoreError>)
    case retry
  }

  private enum State {
    /// For a target, or for the end of a pause.
    case waiting
    case connecting(RedisConnection, RedisTarget, next: Int)
    case open(RedisConnection, since: Instant)
    case closed
  }

  private let loop: EventLoop
  private let settings: RedisSettings
  private let greeting: RedisGreeting
  private let post: @Sendable (Message) -> Void
  private let report: (Event) -> Void
  private var state = State.waiting
  private var backoff = RedisBackoff()

  /// - Parameter post: brings a message back to the loop and there to `receive`.
  init(
    _ purpose: Purpose, _ settings: RedisSettings, on loop: EventLoop, post: @escaping @Sendable (Message) -> Void,
    report: @escaping (Event) -> Void
  ) {
    self.loop = loop
    self.settings = settings
    greeting = RedisGreeting(settings, last: purpose == .commands ? .ping : .subscribe)
    self.post = post
    self.report = report
    prepare()
  }

  /// nil while there is none.
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

  /// Gives up a connection that is not new.
  func renew(_ reason: StoreError) {
    if case .open(let connection, let since) = state, since.duration(to: loop.now) > RedisBackoff.longest {
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

  /// Name servers and files may take their time, so they take it elsewhere; the link waits for them.
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
          to: target.addresses[index], tls: target.tls, settings, greeting, on: loop, for: self)
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
    let end = DispatchTime.now() + .nanoseconds(Int(backoff.next().nanoseconds))
    DispatchQueue.global().asyncAfter(deadline: end) { [post] in post(.retry) }
  }

  // MARK: The connection

  func opened(_ connection: RedisConnection) {
    state = .open(connection, since: loop.now)
    report(.opened)
  }

  func heard(_ payload: [UInt8]) { report(.heard(payload)) }

  func closed(_ connection: RedisConnection, _ reason: StoreError) {
    switch state {
    case .connecting(_, let target, let next): connect(target, from: next, after: reason)
    case .open(_, let since):
      // One that did not last has mended nothing.
      if since.duration(to: loop.now) > RedisBackoff.longest { backoff = RedisBackoff() }
      pause(reason)
    case .waiting, .closed: break
    }
  }
}

/// How long to wait before the next attempt: up to 50 ms, doubling to 5 s, evenly spread ("full jitter"), so that those who
/// lost their connection together do not come back together.
struct RedisBackoff {
  static let longest = Duration.seconds(5)
  private var failures = 0

  mutating func next() -> Duration {
    let limit = min(Duration.milliseconds(50) * (1 << min(failures, 10)), Self.longest)
    failures += 1
    return limit * Double.random(in: 0...1)
  }
}
