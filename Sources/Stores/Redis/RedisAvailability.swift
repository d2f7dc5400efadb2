import Basics
import BrokerCore
import Dispatch
import Logging
import Synchronization

/// Whether the server can be asked and what it refuses, as it is known on and off the loop, and the log lines about it.
final class RedisAvailability: Sendable {
  private enum Connection {
    case starting
    case up
    case down(StoreError)
    case closed(StoreError)
  }

  private struct State {
    var connection = Connection.starting
    var refusals = StoreRefusals()
    var topology: RedisTopology?
    /// The servers that refuse claims, or to have them given up; nil stands for the only one.
    var unclaimable: Set<RedisSettings.Server?> = []
    /// There is a connection that hears of changes.
    var isListening = false
    var isTrialDue = false
    /// The reasons that were logged since the connection was last up: an attempt every few seconds must not fill the
    /// log.
    var logged: Set<String> = []
  }

  private let state = Mutex(State())
  private let log: Logger
  private let recovered: AsyncStream<Void>.Continuation
  private let trials: AsyncStream<Void>.Continuation
  private let trialInterval: Duration?

  /// - Parameters:
  ///   - recovered: yielded to whenever a lost connection is there again, or the server writes again.
  ///   - trials: yielded to whenever it should be tried what the server does: with each connection, and each
  ///     `trialInterval` while it refuses anything. Never where that is nil.
  init(
    log: Logger, recovered: AsyncStream<Void>.Continuation, trials: AsyncStream<Void>.Continuation,
    every trialInterval: Duration?
  ) {
    self.log = log
    self.recovered = recovered
    self.trials = trials
    self.trialInterval = trialInterval
  }

  // MARK: The connections

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
      (state.connection, state.logged, state.unclaimable) = (.up, [], [])
      return last
    }
    switch last {
    case .closed: return
    // It is the same server, or one that a trial will tell from it.
    case .down(.isReplica): break
    case .starting, .up: log.info("the store is connected")
    case .down:
      log.info("the store is connected")
      recovered.yield()
    }
    setTrial(after: .zero)
  }

  /// Notes that what was written last may be gone.
  func recover() {
    recovered.yield()
    setTrial(after: .zero)
  }

  /// Which node of a cluster has what; nil where the server is none.
  var topology: RedisTopology? { state.withLock(\.topology) }

  func update(_ topology: RedisTopology) {
    let areOthers = state.withLock { state in
      defer { state.topology = topology }
      return Set(state.topology?.shards.map(\.primary) ?? []) != Set(topology.shards.map(\.primary))
    }
    if areOthers { setTrial(after: .zero) }
  }

  func lost(_ reason: StoreError) {
    let isNews = state.withLock { state in
      if case .closed = state.connection { return false }
      state.connection = .down(reason)
      return reason != .isReplica && state.logged.insert(reason.reason).inserted
    }
    if isNews { log.warning("the store is out of reach", metadata: ["reason": "\(reason.reason)"]) }
  }

  /// The connection that hears of changes is there.
  func subscribed() {
    let isAwaited = state.withLock { state in
      state.isListening = true
      return state.refusals.reasons[.listen] != nil
    }
    if isAwaited { setTrial(after: .zero) }
  }

  /// The connection that hears of changes is lost, or another could not be made. Returns whether it is news that none
  /// can be made; where commands have none either, it is not.
  func lostSubscription(_ reason: StoreError) -> Bool {
    let isRefused = state.withLock { state in
      defer { state.isListening = false }
      if case .up = state.connection { return !state.isListening }
      return false
    }
    return isRefused && refused(.listen, reason)
  }

  /// Notes that the store was closed; false if it was before.
  func close() -> Bool {
    trials.finish()
    return state.withLock { state in
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

  /// Why the server is out of reach.
  var problem: String? {
    switch state.withLock(\.connection) {
    case .starting: "not connected yet"
    case .up, .down(.isReplica): nil
    case .down(let reason), .closed(let reason): reason.reason
    }
  }

  // MARK: What it refuses

  var refusals: [StoreOperation: String] { state.withLock(\.refusals.reasons) }

  /// How many answers have refused so far.
  var refusalCount: Int { state.withLock(\.refusals.count) }

  var isListening: Bool { state.withLock(\.isListening) }

  /// The server has answered that it does not do this. Returns whether that is news.
  @discardableResult
  func refused(_ operation: StoreOperation, _ reason: StoreError) -> Bool {
    let isNews = state.withLock { $0.refusals.add(operation, reason.reason) }
    if isNews {
      log.warning(
        "the store refuses an operation", metadata: ["operation": "\(operation)", "reason": "\(reason.reason)"])
    }
    setTrial(after: trialInterval)
    return isNews
  }

  /// A trial that began when so many answers had refused did these.
  func passed(_ operations: some Sequence<StoreOperation>, since count: Int) {
    for operation in operations where state.withLock({ $0.refusals.passed(operation, since: count) }) {
      log.info("the store does an operation again", metadata: ["operation": "\(operation)"])
      if operation == .save { recovered.yield() }
    }
    if !refusals.isEmpty { setTrial(after: trialInterval) }
  }

  func isClaimable(_ place: RedisSettings.Server?) -> Bool { state.withLock { !$0.unclaimable.contains(place) } }

  /// What a trial has shown of a server.
  func note(_ place: RedisSettings.Server?, isClaimable: Bool) {
    state.withLock { state in
      state.unclaimable.remove(place)
      if !isClaimable { state.unclaimable.insert(place) }
    }
  }

  /// Nobody else may ask for long. Two that are due soon are one.
  private func setTrial(after delay: Duration?) {
    guard trialInterval != nil, let delay else { return }
    if delay == .zero {
      trials.yield()
      return
    }
    let isDue = state.withLock { state in
      defer { state.isTrialDue = true }
      return state.isTrialDue
    }
    if isDue { return }
    DispatchQueue.global().asyncAfter(deadline: .now() + .nanoseconds(Int(delay.nanoseconds))) { [weak self] in
      self?.state.withLock { $0.isTrialDue = false }
      self?.trials.yield()
    }
  }
}

extension StoreError {
  /// Behind the server's name there may be another by now, which writes.
  static let isReplica = StoreError("the server is a replica")
}
