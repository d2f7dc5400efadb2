package import Basics
import Synchronization

/// What `/readyz` answers from: written on the slow path, read by probes at any time.
///
/// A broker is not ready while it drains; and after its start, for a time, while prefetched tokens are missing, or all
/// that was asked for has failed. What goes wrong once a token is held makes it no less able than its siblings: to take
/// it out of service would keep callers from the tokens that it holds.
package final class Health: Sendable {
  private struct State {
    var draining = false
    /// Until when a start may take; nil before it has begun.
    var startsUntil: Instant?
    /// Whether all keys that are to be prefetched are waited for, and not just the first.
    var waitsForAll = false
    var hasSucceeded = false
    /// The keys that are to be prefetched, and have no token yet.
    var awaited: Set<TokenKey> = []
    /// The last error of each client.
    var failures: [String: String] = [:]
  }

  private let state = Mutex(State())

  package init() {}

  package func drain() { state.withLock { $0.draining = true } }

  /// At the start, until `deadline`: the broker is not ready before every key that is to be prefetched has a token, or
  /// only one of them has, and not while requests have failed and none has gone well.
  package func start(until deadline: Instant, waitingForAll waitsForAll: Bool) {
    state.withLock { ($0.startsUntil, $0.waitsForAll) = (deadline, waitsForAll) }
  }

  /// The keys that are to be prefetched, and have no token yet.
  func lacks(_ keys: Set<TokenKey>) { state.withLock { $0.awaited = keys } }

  func holds(_ key: TokenKey) {
    state.withLock { state in
      state.awaited.remove(key)
      if key.holder == nil { state.hasSucceeded = true }
    }
  }

  /// A client's own request has failed, and not for what was asked.
  func failed(client: String, reason: String) { state.withLock { $0.failures[client] = reason } }

  /// What was known of failures may no longer be so.
  func forgetFailures() { state.withLock { $0.failures = [:] } }

  /// The same for one client.
  func forgetFailures(of client: String) { state.withLock { $0.failures[client] = nil } }

  /// Why token requests should not come here, a sentence each; empty when they may.
  package func reasonsNotReady(at now: Instant) -> [String] {
    state.withLock { state in
      if state.draining { return ["draining: the process is shutting down"] }
      guard let startsUntil = state.startsUntil, now < startsUntil else { return [] }
      if !state.awaited.isEmpty, state.waitsForAll || !state.hasSucceeded {
        return ["starting: \(state.awaited.count) of the prefetched tokens are not there yet"]
      }
      if state.hasSucceeded { return [] }
      return state.failures.sorted { $0.key < $1.key }.map { "starting: client '\($0.key)': \($0.value)" }
    }
  }

  package var isDraining: Bool { state.withLock(\.draining) }
}
