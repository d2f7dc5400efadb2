import Basics
import Synchronization
import BrokerCore

/// Those who wait for claims to be given up.
final class RedisChanges: Sendable {
  private struct State {
    var waiting: [StoreName: [UInt64: CheckedContinuation<Void, Never>]] = [:]
    var count = 0
    var lastID: UInt64 = 0
    /// Names that are being claimed, and whether they have changed since: who does not get the claim will wait for it, but
    /// the change may be faster.
    var watched: [StoreName: Bool] = [:]
    var isClosed = false
  }

  private let state = Mutex(State())
  private static let most = 10_000

  /// To be called before a claim is asked for.
  func watch(_ name: StoreName) {
    state.withLock { state in
      if state.watched.count >= Self.most { state.watched = [:] }
      state.watched[name] = false
    }
  }

  func forget(_ name: StoreName) {
    state.withLock { _ = $0.watched.removeValue(forKey: name) }
  }

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

  func announceAll() {
    let woken = state.withLock { state in
      defer { (state.waiting, state.count) = ([:], 0) }
      for name in state.watched.keys { state.watched[name] = true }
      return state.waiting.values.flatMap(\.values)
    }
    for continuation in woken { continuation.resume() }
  }

  /// How many wait.
  var count: Int { state.withLock(\.count) }

  /// Nobody waits any more.
  func close() {
    state.withLock { $0.isClosed = true }
    announceAll()
  }

  /// Returns when `name` is announced or at `deadline`; at once if it was since it is watched, or if the task is cancelled.
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
