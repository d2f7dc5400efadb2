import Basics
import BrokerCore
import Synchronization

/// The callers that wait for claims to be given up, and the news that wakes them, for a store of any kind.
final class StoreChanges: Sendable {
  private struct State {
    var waiting: [StoreName: [UInt64: CheckedContinuation<Void, Never>]] = [:]
    var count = 0
    var lastID: UInt64 = 0
    /// Names that are being claimed, and whether they have changed since. A caller that does not get the claim will
    /// wait for the change, which may come first.
    var watched: [StoreName: Bool] = [:]
    var isClosed = false
  }

  private let state = Mutex(State())
  private static let most = 10_000

  /// Begins to note whether `name` changes; to be called before its claim is asked for.
  func watch(_ name: StoreName) {
    state.withLock { state in
      if state.watched.count >= Self.most { state.watched = [:] }
      state.watched[name] = false
    }
  }

  /// Ends what `watch` began.
  func forget(_ name: StoreName) { state.withLock { _ = $0.watched.removeValue(forKey: name) } }

  /// Wakes those who wait for the name that was published.
  func announce(_ payload: [UInt8]) {
    guard payload.count == 32 else { return }
    let name = StoreName(payload)
    let woken = state.withLock { state in
      if state.watched[name] != nil { state.watched[name] = true }
      let woken = state.waiting.removeValue(forKey: name) ?? [:]
      state.count -= woken.count
      return Array(woken.values)
    }
    for continuation in woken { continuation.resume() }
  }

  /// Wakes everybody: any name may have changed.
  func announceAll() {
    let woken = state.withLock { state in
      defer { (state.waiting, state.count) = ([:], 0) }
      for name in state.watched.keys { state.watched[name] = true }
      return state.waiting.values.flatMap(\.values)
    }
    for continuation in woken { continuation.resume() }
  }

  /// How many callers wait.
  var count: Int { state.withLock(\.count) }

  /// What they wait for.
  var names: [StoreName] { state.withLock { Array($0.waiting.keys) } }

  /// Ends all waits, those to come too.
  func close() {
    state.withLock { $0.isClosed = true }
    announceAll()
  }

  /// Returns when `name` is announced or at `deadline`; at once if it was announced since `watch`, or if the task is
  /// cancelled.
  func wait(for name: StoreName, until deadline: Instant) async {
    let id: UInt64? = state.withLock { state in
      if state.count >= Self.most { return nil }
      state.lastID += 1
      return state.lastID
    }
    guard let id else {
      try? await Task.sleep(until: deadline)
      return
    }
    var timer: Task<Void, Never>?
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isOver = state.withLock { state in
          let hasChanged = state.watched.removeValue(forKey: name) == true
          if hasChanged || state.isClosed || Task.isCancelled || Instant.now >= deadline { return true }
          state.waiting[name, default: [:]][id] = continuation
          state.count += 1
          return false
        }
        if isOver { return continuation.resume() }
        timer = Task {
          try? await Task.sleep(until: deadline)
          wake(name, id)
        }
      }
    } onCancel: {
      wake(name, id)
    }
    timer?.cancel()
  }

  private func wake(_ name: StoreName, _ id: UInt64) {
    let continuation = state.withLock { state -> CheckedContinuation<Void, Never>? in
      guard let found = state.waiting[name]?.removeValue(forKey: id) else { return nil }
      if state.waiting[name]?.isEmpty == true { state.waiting[name] = nil }
      state.count -= 1
      return found
    }
    continuation?.resume()
  }
}
