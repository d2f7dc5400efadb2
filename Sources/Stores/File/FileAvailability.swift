import Basics
import BrokerCore
import Logging
import Synchronization

/// Whether a store's file can be used, and the log lines about it.
final class FileAvailability: Sendable {
  private struct State {
    var isOpen = false
    var isClosed = false
    /// The disk, or another process, has kept an operation for too long, and does so still.
    var isStuck = false
    /// When an operation was last over.
    var lastDone = Instant(nanoseconds: 0)
    var problem: String?
    var aside: StoreFile.SetAside?
  }

  private let state = Mutex(State())
  private let log: Logger
  private let recovered: AsyncStream<Void>.Continuation

  /// Yields to `recovered` whenever the store can be used again.
  init(log: Logger, recovered: AsyncStream<Void>.Continuation) {
    self.log = log
    self.recovered = recovered
  }

  var problem: String? { state.withLock(\.problem) }

  var isClosed: Bool { state.withLock(\.isClosed) }

  /// What was set aside and is still there.
  var notice: String? {
    guard let aside = state.withLock(\.aside), aside.exists else { return nil }
    return "\(aside.reason); it is now \(aside.path)"
  }

  /// Throws why an operation is in vain. What is there can be read while nothing can be written.
  func check(isWrite: Bool) throws(StoreError) {
    let reason: String? = state.withLock { state in
      if state.isClosed { return "it is closed" }
      if !state.isOpen { return state.problem ?? "it is not open" }
      return isWrite || state.isStuck ? state.problem : nil
    }
    if let reason { throw StoreError(reason) }
  }

  func opened(_ opened: StoreFile.Opened) {
    let hadProblem = state.withLock { state in
      defer { (state.isOpen, state.isStuck, state.problem) = (true, false, nil) }
      state.aside = opened.aside ?? state.aside
      return state.problem != nil
    }
    log.info("the store is open", metadata: ["values": "\(opened.count)"])
    if hadProblem { recovered.yield() }
  }

  /// It has to be opened anew, or cannot be.
  func lost(_ reason: String) {
    state.withLock { $0.isOpen = false }
    failed(reason)
  }

  /// An operation was not done within `timeout`. If no other was either, the next that is done shows that it is over.
  func late(_ reason: String, after timeout: Duration) {
    let isStuck = state.withLock { state in
      if Instant.now < state.lastDone.advanced(by: timeout) { return false }
      state.isStuck = true
      return true
    }
    if isStuck { failed(reason) }
  }

  /// It could not be written or read. Logged if the reason is another than before.
  func failed(_ reason: String) {
    let previous = state.withLock { state in
      defer { state.problem = reason }
      return state.problem
    }
    if previous != reason { log.warning("the store cannot be used", metadata: ["reason": "\(reason)"]) }
  }

  /// It has done what it was asked.
  func succeeded(isWrite: Bool) {
    let isOver = state.withLock { state in
      state.lastDone = .now
      guard state.isOpen, state.problem != nil, isWrite || state.isStuck else { return false }
      (state.isStuck, state.problem) = (false, nil)
      return true
    }
    guard isOver else { return }
    log.info("the store can be used again")
    recovered.yield()
  }

  /// False if it was closed before.
  func close() -> Bool {
    state.withLock { state in
      defer { state.isClosed = true }
      return !state.isClosed
    }
  }
}
