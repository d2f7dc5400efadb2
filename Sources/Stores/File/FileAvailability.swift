import Basics
import BrokerCore
import Logging
import Synchronization

/// Whether a store's file can be used, and the log lines about it.
final class FileAvailability: Sendable {
  private struct State {
    var isOpen = false
    var isClosed = false
    /// When an operation was last over.
    var lastDone = Instant(nanoseconds: 0)
    /// Why it cannot be used at all.
    var problem: String?
    /// Why it cannot be read, or written, though it is open; by whether that is a write.
    var refusals: [Bool: String] = [:]
    /// How often another process had it for too long since it was last read, or written.
    var busyCounts: [Bool: Int] = [:]
    var aside: StoreFile.SetAside?
  }

  private let state = Mutex(State())
  private let log: Logger
  private let recovered: AsyncStream<Void>.Continuation
  /// How often in a row another process has it before that counts as a refusal: one may have been stopped for a moment.
  private static let busyLimit = 3

  /// Yields to `recovered` whenever the store can be used again.
  init(log: Logger, recovered: AsyncStream<Void>.Continuation) {
    self.log = log
    self.recovered = recovered
  }

  var problem: String? { state.withLock(\.problem) }

  /// What cannot be done though it is open.
  var refusals: [StoreOperation: String] {
    let (read, write) = state.withLock { ($0.refusals[false], $0.refusals[true]) }
    var refusals: [StoreOperation: String] = [:]
    refusals[.load] = read
    if let write { for operation in [.claim, .save, .remove] as [StoreOperation] { refusals[operation] = write } }
    return refusals
  }

  var isClosed: Bool { state.withLock(\.isClosed) }

  /// What was set aside and is still there.
  var notice: String? {
    guard let aside = state.withLock(\.aside), aside.exists else { return nil }
    return "\(aside.reason); it is now \(aside.path)"
  }

  /// Throws why an operation is in vain. What is there can be read while nothing can be written.
  func check(isWrite: Bool) throws(StoreError) {
    let error: StoreError? = state.withLock { state in
      if state.isClosed { return StoreError("it is closed") }
      if !state.isOpen { return StoreError(state.problem ?? "it is not open") }
      if let problem = state.problem { return StoreError(problem) }
      return isWrite ? state.refusals[true].map { StoreError($0, isRefusal: true) } : nil
    }
    if let error { throw error }
  }

  func opened(_ opened: StoreFile.Opened) {
    let hadProblem = state.withLock { state in
      defer { (state.isOpen, state.problem, state.refusals) = (true, nil, [:]) }
      state.aside = opened.aside ?? state.aside
      return state.problem != nil || !state.refusals.isEmpty
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
    let isStuck = state.withLock { Instant.now >= $0.lastDone.advanced(by: timeout) }
    if isStuck { failed(reason) }
  }

  private func failed(_ reason: String) {
    let previous = state.withLock { state in
      defer { state.problem = reason }
      return state.problem
    }
    if previous != reason { log.warning("the store cannot be used", metadata: ["reason": "\(reason)"]) }
  }

  /// It is open, and could not be written or read; `isBusy` where only another process had it. Logged if the reason is
  /// another than before.
  func refused(_ reason: String, isWrite: Bool, isBusy: Bool) {
    let isNews = state.withLock { state in
      state.lastDone = .now
      if state.isOpen { state.problem = nil }
      if isBusy {
        state.busyCounts[isWrite, default: 0] += 1
        if state.busyCounts[isWrite, default: 0] < Self.busyLimit { return false }
      }
      return state.refusals.updateValue(reason, forKey: isWrite) != reason
    }
    if isNews { log.warning("the store cannot be used", metadata: ["reason": "\(reason)"]) }
  }

  /// It has done what it was asked.
  func succeeded(isWrite: Bool) {
    let isOver = state.withLock { state in
      state.lastDone = .now
      guard state.isOpen else { return false }
      defer { (state.problem, state.refusals[isWrite], state.busyCounts[isWrite]) = (nil, nil, nil) }
      return state.problem != nil || state.refusals[isWrite] != nil
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
