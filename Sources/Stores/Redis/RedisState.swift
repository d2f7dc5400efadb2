import Logging
import IO
import Synchronization
import BrokerCore

/// What is known of the connection outside of its loop, and the way in.
final class RedisState: Sendable {
  private enum Connection {
    case starting
    case up
    case down(StoreError)
    case closed(StoreError)
  }

  private struct Value {
    var connection = Connection.starting
    /// Why the last write was refused, if it was.
    var refusal: StoreError?
    /// What the log holds since the connection was last up: an attempt every few seconds must not fill it.
    var logged: Set<String> = []
  }

  private let value = Mutex(Value())
  private let mailbox: Mailbox<RedisLoop.Message>
  private let log: Logger
  private let recovered: AsyncStream<Void>.Continuation

  /// `recovered` is told whenever there is a connection again.
  init(_ mailbox: Mailbox<RedisLoop.Message>, log: Logger, recovered: AsyncStream<Void>.Continuation) {
    self.mailbox = mailbox
    self.log = log
    self.recovered = recovered
  }

  /// Throws why asking is in vain, where that is known.
  func check() throws(StoreError) {
    switch value.withLock(\.connection) {
    case .starting, .up: break
    case .down(let reason), .closed(let reason): throw reason
    }
  }

  /// Brings a message to the loop; none comes behind that which ends it.
  func post(_ message: RedisLoop.Message) {
    value.withLock { value in
      if case .closed = value.connection { return }
      if case .close = message { value.connection = .closed(.closed) }
      mailbox.post(message)
    }
  }

  /// The loop has ended, and nobody receives what may still come.
  func ended(_ result: Result<Void, any Error>) {
    if case .failure(let error) = result {
      let reason = StoreError("the event loop has ended: \(error)")
      value.withLock { $0.connection = .closed(reason) }
      log.error("the store is lost until the next start", metadata: ["reason": "\(reason.reason)"])
    }
    _ = mailbox.takeAll()
  }

  var isStarting: Bool {
    if case .starting = value.withLock(\.connection) { return true }
    return false
  }

  func opened() {
    let last = value.withLock { value in
      let last = value.connection
      if case .closed = last { return last }
      (value.connection, value.refusal, value.logged) = (.up, nil, [])
      return last
    }
    switch last {
    case .closed: return
    case .starting, .up: break
    case .down: recovered.yield()
    }
    log.info("the store is connected")
  }

  func lost(_ reason: StoreError) {
    let isNews = value.withLock { value in
      if case .closed = value.connection { return false }
      value.connection = .down(reason)
      return value.logged.insert(reason.reason).inserted
    }
    if isNews { log.warning("the store is out of reach", metadata: ["reason": "\(reason.reason)"]) }
  }

  /// How a write went that the server has answered.
  func answered(_ refusal: StoreError?) {
    value.withLock { $0.refusal = refusal }
  }

  var problem: String? {
    value.withLock { value in
      switch value.connection {
      case .starting: "not connected yet"
      case .up: value.refusal?.reason
      case .down(let reason), .closed(let reason): reason.reason
      }
    }
  }
}
