package import Basics
package import BrokerCore
import Dispatch
package import Logging
import Synchronization

/// A store in a file of this machine, which any number of its processes may have open. The file is an SQLite database.
///
/// What is saved is in the system's hands when `save` returns, and on the disk a second later: nobody waits for that.
/// While the file cannot be used, because its directory is not safe or the disk fails, calls throw at once, and it is
/// tried again each second.
package final class FileStore: Store {
  private let file: StoreFile
  private let location: String
  private let availability: FileAvailability
  package let recoveries: AsyncStream<Void>
  private let changes = StoreChanges()

  /// What operations use, on `queue`, one after the other.
  private let database = Mutex<StoreDatabase?>(nil)
  let queue = DispatchQueue(label: "file-store")
  /// Where the disk is waited for. Operations wait for it only while a long journal is emptied.
  private let diskQueue = DispatchQueue(label: "file-store-disk", qos: .utility)
  /// What is to happen later on `queue`.
  private let due = Mutex(Due())

  private struct Due {
    var isSynchronization = false
    var isTrial = false
    var isLook = false
    /// Somebody waits for a change until then.
    var lookingUntil = Instant(nanoseconds: 0)
  }

  private enum Operation {
    case load
    /// In vain if nobody waits for it any more.
    case claim
    /// Done in any case.
    case save
    /// What nobody has asked for.
    case upkeep

    var isWrite: Bool { self != .load }
  }

  /// How long an operation may take.
  package let timeout: Duration
  private static let synchronizationDelay = Duration.seconds(1)
  private static let retryDelay = Duration.seconds(1)
  /// How often those who wait for a claim are looked after: other processes tell of nothing.
  private static let lookDelay = Duration.milliseconds(20)

  /// Opens the file and checks it before it returns.
  package init(path: String, timeout: Duration = .milliseconds(250), log: Logger) {
    self.timeout = timeout
    location = "file:\(path)"
    file = StoreFile(path: path, timeout: timeout, log: log)
    var log = log
    log[metadataKey: "store"] = "\(location)"
    let (recoveries, recovered) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    self.recoveries = recoveries
    availability = FileAvailability(log: log, recovered: recovered)
    queue.sync { open() }
  }

  /// Throws why no store may be kept at `path`.
  package static func checkDirectory(of path: String) throws(StoreError) { try StoreDirectory(of: path).check() }

  package var condition: StoreCondition {
    StoreCondition(
      location: location, problem: availability.problem, refusals: availability.refusals, notice: availability.notice)
  }

  // MARK: Operations

  package func load(_ names: [StoreName]) async throws(StoreError) -> [[UInt8]?] {
    try await perform(.load) { database throws(SQLiteError) in try database.load(names, now: Self.unixNow) }
  }

  package func claim(
    _ name: StoreName, for lease: Duration, loading names: [StoreName]
  ) async throws(StoreError) -> StoreAnswer {
    let claim = StoreClaim(name: name, fence: Fence.next())
    return try await perform(.claim) { database throws(SQLiteError) in
      try database.claim(claim, for: lease.milliseconds, loading: names, now: Self.unixNow)
    } undo: { database throws(SQLiteError) in
      try database.release(claim)
    }
  }

  package func renew(_ claim: StoreClaim, for lease: Duration) async throws(StoreError) -> Bool {
    try await perform(.save) { database throws(SQLiteError) in
      try database.renew(claim, for: lease.milliseconds, now: Self.unixNow)
    }
  }

  package func save(_ entries: [StoreEntry], settling claim: StoreClaim?) async throws(StoreError) {
    guard entries.allSatisfy({ (1...StoreDatabase.maxValueBytes).contains($0.value.count) }) else {
      throw StoreError("a value is empty or over \(StoreDatabase.maxValueBytes >> 10) KiB")
    }
    try await perform(.save) { database throws(SQLiteError) in
      try database.save(entries, settling: claim, now: Self.unixNow)
    }
    if let claim { changes.announce(claim.name.bytes) }
  }

  package func count(
    _ name: StoreName, adding count: Int, atLeast: Int, lifetime: Duration
  ) async throws(StoreError) -> Int {
    try await perform(.save) { database throws(SQLiteError) in
      let expiry = Self.unixNow + lifetime.milliseconds
      return try database.count(name, adding: count, atLeast: atLeast, expiry: expiry, now: Self.unixNow)
    }
  }

  package func remove(_ names: [StoreName]) async throws(StoreError) {
    try await perform(.save) { database throws(SQLiteError) in try database.remove(names) }
  }

  /// Does `work` on the queue. What takes too long has failed, and is undone if it is done later.
  private func perform<Value: Sendable>(
    _ operation: Operation, _ work: @escaping @Sendable (StoreDatabase) throws(SQLiteError) -> Value,
    undo: @escaping @Sendable (StoreDatabase) throws(SQLiteError) -> Void = { _ in }
  ) async throws(StoreError) -> Value {
    try availability.check(isWrite: operation.isWrite)
    let result = await withCheckedContinuation { continuation in
      let answer = Answer<Value>(continuation)
      let timer = Task { [weak self, availability, timeout] in
        guard (try? await Task.sleep(for: timeout)) != nil else { return }
        let late = "no answer within \(timeout)"
        guard answer.give(.failure(StoreError(late))) else { return }
        availability.late(late, after: timeout)
        self?.tryAgainSoon()
      }
      queue.async { [self] in
        defer { timer.cancel() }
        if answer.isGiven && operation != .save { return }
        if !answer.give(attempt(operation, work)) { _ = attempt(operation, undo) }
      }
    }
    return try result.get()
  }

  /// Lets go of the file; the last process to do so brings the journal into it, and that onto the disk. Takes five
  /// seconds at the most.
  package func close() {
    guard availability.close() else { return }
    changes.close()
    let done = DispatchSemaphore(value: 0)
    queue.async { [self] in
      database.withLock { $0 = nil }
      done.signal()
    }
    _ = done.wait(timeout: .now() + 5)
  }

  private static var unixNow: Int64 { Int64(WallClock.now * 1000) }
}

// MARK: On the queue

extension FileStore {
  private func open(distrusting suspicion: StoreFile.Suspicion? = nil) {
    if availability.isClosed { return }
    let started = Instant.now
    do throws(StoreError) {
      try database.withLock { database throws(StoreError) in
        // First, because its locks would be lost.
        database = nil
        let opened = try file.open(distrusting: suspicion)
        availability.opened(opened)
        database = opened.database
      }
    } catch {
      availability.lost(error.reason)
      let took = started.duration(to: .now)
      after(max(Self.retryDelay, took * 9)) { $0.open(distrusting: suspicion) }
    }
  }

  private func attempt<Value: Sendable>(
    _ operation: Operation, _ work: (StoreDatabase) throws(SQLiteError) -> Value
  ) -> Result<Value, StoreError> {
    do throws(SQLiteError) {
      let value = try database.withLock { database throws(SQLiteError) -> Value? in
        guard let database else { return nil }
        if database.hasMoved { throw .moved }
        return try work(database)
      }
      guard let value else { return .failure(StoreError(availability.problem ?? "it is closed")) }
      availability.succeeded(isWrite: operation.isWrite)
      if operation == .claim || operation == .save { synchronizeSoon() }
      return .success(value)
    } catch {
      if error.isOfFile {
        availability.lost(error.reason)
        // What is queued already finds none, and so nothing wrong with the next file.
        let suspicion = database.withLock { database in
          defer { database = nil }
          return database.flatMap { file.suspicion(of: $0, error.reason) }
        }
        queue.async { [self] in open(distrusting: suspicion) }
        return .failure(StoreError(error.reason))
      }
      let reason = "it cannot be \(operation.isWrite ? "written" : "read"): \(error.reason)"
      availability.refused(reason, isWrite: operation.isWrite, isBusy: error.isBusy)
      tryAgainSoon()
      return .failure(StoreError(reason, isRefusal: true))
    }
  }

  private func synchronizeSoon() {
    guard !take(\.isSynchronization) else { return }
    after(Self.synchronizationDelay) { store in
      store.due.withLock { $0.isSynchronization = false }
      store.diskQueue.async {
        store.file.synchronize()
        // Afterwards, because there is less to wait for then if the journal is emptied.
        store.queue.async {
          _ = store.attempt(.upkeep) { database throws(SQLiteError) in try database.tidy(now: Self.unixNow) }
        }
      }
    }
  }

  /// Finds out whether the file can be read and written again: nobody else may ask for long.
  private func tryAgainSoon() {
    guard !take(\.isTrial) else { return }
    after(Self.retryDelay) { store in
      store.due.withLock { $0.isTrial = false }
      let refusals = store.availability.refusals
      if refusals[.load] != nil || store.availability.problem != nil {
        _ = store.attempt(.load) { database throws(SQLiteError) in try database.count }
      }
      if refusals[.save] != nil {
        _ = store.attempt(.save) { database throws(SQLiteError) in try database.tryWriting() }
      }
    }
  }

  /// Sets a flag of what is due, and returns what it was.
  private func take(_ flag: any WritableKeyPath<Due, Bool> & Sendable) -> Bool {
    due.withLock { due in
      defer { due[keyPath: flag] = true }
      return due[keyPath: flag]
    }
  }

  private func after(_ delay: Duration, _ body: @escaping @Sendable (FileStore) -> Void) {
    queue.asyncAfter(deadline: .now() + .nanoseconds(Int(delay.nanoseconds))) { [weak self] in
      if let self { body(self) }
    }
  }
}

// MARK: Waiting

extension FileStore {
  package func waitForChange(of name: StoreName, until deadline: Instant) async {
    let isLooking = due.withLock { due in
      defer { (due.isLook, due.lookingUntil) = (true, max(due.lookingUntil, deadline)) }
      return due.isLook
    }
    if !isLooking { after(Self.lookDelay) { $0.look() } }
    await changes.wait(for: name, until: deadline)
  }

  /// Wakes those who wait for claims that nobody has any more, and goes on for as long as anybody waits.
  private func look() {
    let names = changes.names
    let claimed =
      names.isEmpty
      ? [] : try? database.withLock { database throws(SQLiteError) in try database?.claimed(now: Self.unixNow) }
    if let claimed { for name in names where !claimed.contains(name) { changes.announce(name.bytes) } }
    let isOver = due.withLock { due in
      due.isLook = Instant.now < due.lookingUntil
      return !due.isLook
    }
    if !isOver { after(Self.lookDelay) { $0.look() } }
  }
}

extension SQLiteError {
  fileprivate static var moved: SQLiteError { .unusable("its file was moved or removed") }
}

/// Whoever waits for an operation gets the first answer that is given.
private final class Answer<Value: Sendable>: Sendable {
  private let waiting: Mutex<CheckedContinuation<Result<Value, StoreError>, Never>?>

  init(_ continuation: CheckedContinuation<Result<Value, StoreError>, Never>) { waiting = Mutex(continuation) }

  var isGiven: Bool { waiting.withLock { $0 == nil } }

  /// False if there was one before.
  func give(_ result: Result<Value, StoreError>) -> Bool {
    let continuation = waiting.withLock { $0.take() }
    continuation?.resume(returning: result)
    return continuation != nil
  }
}
