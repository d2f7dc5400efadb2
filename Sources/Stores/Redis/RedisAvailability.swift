import BrokerCore
import Logging
import Synchronization

/// Whether the server can be asked, as it is known on and off the loop, and the log lines about it.
final class RedisAvailability: Sendable {
  private enum Connection {
    case starting
    case up
    case down(StoreError)
    case closed(StoreError)
  }

  private struct State {
    var connection = Connection.starting
    /// Why the last write was refused, if it was.
    var refusal: StoreError?
    /// The reasons that were logged since the connection was last up: an attempt every few seconds must not fill the
    /// log.
    var logged: Set<String> = []
  }

  private let state = Mutex(State())
  private let log: Logger
  private let recovered: AsyncStream<Void>.Continuation

  /// Yields to `recovered` whenever a lost connection is there again.
  init(log: Logger, recovered: AsyncStream<Void>.Continuation) {
    self.log = log
    self.recovered = recovered
  }

  /// Throws why asking is in vain, where that is known.
  func check() throws(StoreError) {
    switch state.withLock(\.connection) {
    case .starting, .up: break
    case .down(let reason), .closed(let reason): throw reason
    }
  }

  /// Whether the first connection is still being made.
  var isStarting: Bool {
    if case .starting = state.withLock(\.connection) { return true }
    return false
  }

  func opened() {
    let last = state.withLock { state in
      let last = state.connection
      if case .closed = last { return last }
      (state.connection, state.refusal, state.logged) = (.up, nil, [])
      return last
    }
    switch last {
    case .closed: return
    case .starting, .up: break
    case .down: recovered.yield()
    }
    log.info("the store is connected")
  }

  /// Notes that what was written last may be gone.
  func recover() { recovered.yield() }

  func lost(_ reason: StoreError) {
    let isNews = state.withLock { state in
      if case .closed = state.connection { return false }
      state.connection = .down(reason)
      return state.logged.insert(reason.reason).inserted
    }
    if isNews { log.warning("the store is out of reach", metadata: ["reason": "\(reason.reason)"]) }
  }

  /// Notes that the store was closed; false if it was before.
  func close() -> Bool {
    state.withLock { state in
      if case .closed = state.connection { return false }
      state.connection = .closed(.closed)
      return true
    }
  }

  /// Notes that the loop has ended, and logs it where it failed.
  func loopEnded(_ result: Result<Void, any Error>) {
    guard case .failure(let error) = result else { return }
    let reason = StoreError("the event loop has ended: \(error)")
    state.withLock { $0.connection = .closed(reason) }
    log.error("the store is lost until the next start", metadata: ["reason": "\(reason.reason)"])
  }

  /// Notes how a write went that the server has answered.
  func noteWrite(refused refusal: StoreError?) { state.withLock { $0.refusal = refusal } }

  var problem: String? {
    state.withLock { state in
      switch state.connection {
      case .starting: "not connected yet"
      case .up: state.refusal?.reason
      case .down(let reason), .closed(let reason): reason.reason
      }
    }
  }
}
