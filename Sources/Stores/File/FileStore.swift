package import Basics
package import BrokerCore
import Dispatch
package import Logging
import Synchronization

/// A store for one process at a time and its successors: all values are in memory, and a file has them for the next.
///
/// Callers never wait for the disk. What they save is written soon afterwards, together with what others have saved by
/// then. While the file cannot be used, because another process has it or its directory is not safe, every call throws,
/// and the file is tried again each second. While it cannot be written, memory goes on serving.
package final class FileStore: Store {
  private struct State {
    /// The file while this process has the lock on it.
    var file: StoreFile?
    var isClosed = false
    var values = StoredValues()
    /// How often something was saved.
    var saves = 0
    /// How many of those saves the file has.
    var written = 0
    var isWriteDue = false
    /// The next write waits until then, unless a caller waits for it.
    var nextWrite = Instant(nanoseconds: 0)
    var problem: String?
  }

  private let path: String
  private let log: Logger
  private let state = Mutex(State())
  /// Everything that touches the disk happens here, one after the other.
  private let queue = DispatchQueue(label: "file-store")

  /// The delay from a save to its write, so that what is saved together is written together.
  private static let delay = Duration.milliseconds(20)
  /// The pause between two writes, as a multiple of the time that the first took: a large file costs a tenth of a core,
  /// and of the disk, at the most.
  private static let pauseFactor = 9
  private static let longestPause = Duration.seconds(60)
  private static let retryDelay = Duration.seconds(1)

  /// Reads the file before it returns.
  package init(path: String, log: Logger) {
    self.path = path
    self.log = log
    queue.sync { open() }
  }

  /// Throws why no store may be kept at `path`.
  package static func checkDirectory(of path: String) throws(StoreError) { try StoreDirectory(of: path).check() }

  package var condition: StoreCondition { StoreCondition(location: location, problem: state.withLock(\.problem)) }

  private var location: String { "file:\(path)" }

  package func load(_ names: [StoreName]) throws(StoreError) -> [[UInt8]?] {
    try whileUsable { state in
      let now = Instant.now
      return names.map { state.values.value(of: $0, at: now) }
    }
  }

  /// Always granted: one process has the file, and it asks for nothing twice at a time.
  package func claim(
    _ name: StoreName, for lease: Duration, loading names: [StoreName]
  ) throws(StoreError) -> StoreAnswer {
    StoreAnswer(.granted(StoreClaim(name: name, fence: Fence.next())), try load(names))
  }

  package func renew(_ claim: StoreClaim, for lease: Duration) throws(StoreError) -> Bool {
    try whileUsable { _ in true }
  }

  package func save(_ entries: [StoreEntry], settling claim: StoreClaim?) throws(StoreError) {
    guard entries.allSatisfy({ (1...FileFormat.maxValueBytes).contains($0.value.count) }) else {
      throw StoreError("a value is empty or over \(FileFormat.maxValueBytes >> 10) KiB")
    }
    try whileUsable { state in
      if entries.isEmpty { return }
      let now = Instant.now
      for entry in entries {
        state.values.set(
          entry.name, to: .init(value: entry.value, expiresAt: now.advanced(by: entry.lifetime)), now: now)
      }
      state.saves += 1
      scheduleWrite(&state)
    }
  }

  package func remove(_ names: [StoreName]) throws(StoreError) {
    try whileUsable { state in
      for name in names { state.values.remove(name) }
      state.saves += 1
      scheduleWrite(&state)
    }
  }

  package func waitForChange(of name: StoreName, until deadline: Instant) async {
    try? await Task.sleep(until: deadline)
  }

  private func whileUsable<Result: Sendable>(_ body: (inout State) -> Result) throws(StoreError) -> Result {
    try state.withLock { state throws(StoreError) in
      if state.isClosed { throw StoreError("it is closed") }
      if state.file == nil { throw StoreError(state.problem ?? "it is not open") }
      return body(&state)
    }
  }

  /// Returns when all that was saved before is on the disk; false if it cannot be written, or not within `timeout`.
  package func flush(within timeout: Duration = .seconds(5)) -> Bool {
    let saves = state.withLock(\.saves)
    finish(within: timeout) { store in store.write() }
    return state.withLock { $0.written >= saves }
  }

  /// Writes what is not on the disk yet, and releases the file for the next process. Takes five seconds at the most.
  package func close() {
    state.withLock { $0.isClosed = true }
    finish(within: .seconds(5)) { store in
      store.write()
      store.state.withLock { $0.file = nil }
    }
  }

  private func finish(within timeout: Duration, _ work: @escaping @Sendable (FileStore) -> Void) {
    let done = DispatchSemaphore(value: 0)
    queue.async { [self] in
      work(self)
      done.signal()
    }
    _ = done.wait(timeout: .now() + timeout.dispatchInterval)
  }

  private func scheduleWrite(_ state: inout State, after delay: Duration = delay) {
    if state.isWriteDue { return }
    state.isWriteDue = true
    let pause = max(delay, Instant.now.duration(to: state.nextWrite))
    queue.asyncAfter(deadline: .now() + pause.dispatchInterval) { [self] in
      self.state.withLock { $0.isWriteDue = false }
      write()
    }
  }
}

/// The work that happens on the queue.
extension FileStore {
  private func open() {
    if state.withLock(\.isClosed) { return }
    do throws(StoreError) {
      let file = try StoreFile(path, log: log)
      let contents = try file.read()
      let count = state.withLock { state in
        state.file = file
        state.problem = nil
        restore(contents, &state)
        return state.values.entries.count
      }
      log.info("the store is open", metadata: ["store": "\(location)", "values": "\(count)"])
    } catch {
      note(error.reason)
      queue.asyncAfter(deadline: .now() + Self.retryDelay.dispatchInterval) { [weak self] in self?.open() }
    }
  }

  /// Puts what the file had into memory; a file that was damaged is written anew.
  private func restore(_ contents: FileFormat.Contents, _ state: inout State) {
    let (now, unixNow) = (Instant.now, Int64(WallClock.now * 1000))
    for record in contents.records {
      let left = Int64(clamping: record.expiry) - unixNow
      if left <= 0 { continue }
      let expiresAt = now.advanced(by: .milliseconds(left))
      state.values.set(record.name, to: .init(value: record.value, expiresAt: expiresAt), now: now)
    }
    if contents.damage != nil {
      state.saves += 1
      scheduleWrite(&state)
    }
  }

  private func write() {
    let (file, entries, saves, isDue) = state.withLock { ($0.file, $0.values.entries, $0.saves, $0.saves > $0.written) }
    guard let file, isDue else { return }
    let started = Instant.now
    let expired = entries.filter { $0.value.expiresAt <= started }.map(\.key)
    var problem: String?
    do throws(StoreError) {
      let file = try locked(file)
      try file.write(entries, count: entries.count - expired.count, now: started)
    } catch {
      problem = error.reason
    }
    let ended = Instant.now
    let took = started.duration(to: ended)
    state.withLock { state in
      state.values.removeExpired(expired, now: started)
      state.nextWrite = ended.advanced(by: min(took * Self.pauseFactor, Self.longestPause))
      if problem == nil {
        state.written = saves
      } else if !state.isClosed {
        scheduleWrite(&state, after: Self.retryDelay)
      }
    }
    note(problem)
  }

  /// The file itself while its lock is held; where the lock's file was removed, the file locked again.
  private func locked(_ file: StoreFile) throws(StoreError) -> StoreFile {
    if file.isHeld { return file }
    let again = try StoreFile(path, log: log)
    state.withLock { $0.file = again }
    return again
  }

  /// Keeps the problem for `condition`, and logs it if it is another than before.
  private func note(_ problem: String?) {
    let previous = state.withLock { state in
      defer { state.problem = problem }
      return state.problem
    }
    if problem == previous { return }
    if let problem {
      log.warning("the store cannot be used", metadata: ["store": "\(location)", "reason": "\(problem)"])
    } else {
      log.info("the store can be used again", metadata: ["store": "\(location)"])
    }
  }
}

extension Duration {
  fileprivate var dispatchInterval: DispatchTimeInterval { .nanoseconds(Int(nanoseconds)) }
}
