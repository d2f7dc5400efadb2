package import Basics
import Synchronization

/// What `/readyz` answers from: written on the slow path, read by probes at any time.
package final class Health: Sendable {
  private struct State {
    var draining = false
    var refused: [String: (reason: String, until: Instant)] = [:]
    /// The keys whose first tokens readiness waits for, and until when.
    var awaited: Set<TokenKey> = []
    var awaitedUntil: Instant?
  }

  /// What is known of a refusal grows old: a broker that is never asked again, because it is unready, must become
  /// ready.
  private static let memory = Duration.seconds(60)

  private let state = Mutex(State())

  package init() {}

  package func drain() { state.withLock { $0.draining = true } }

  /// At the start: until `deadline`, a broker that lacks a token which is to be prefetched is not ready.
  package func awaitPrefetched(until deadline: Instant) { state.withLock { $0.awaitedUntil = deadline } }

  /// The keys that are to be prefetched, and have no token yet.
  func lacks(_ keys: Set<TokenKey>) { state.withLock { $0.awaited = keys } }

  func holds(_ key: TokenKey) { _ = state.withLock { $0.awaited.remove(key) } }

  /// Upstream has refused this client's own credentials.
  func refused(client: String, reason: String, now: Instant) {
    state.withLock { $0.refused[client] = (reason, now.advanced(by: Self.memory)) }
  }

  /// What was known of refusals may no longer be so.
  func acceptedAll() { state.withLock { $0.refused = [:] } }

  func accepted(client: String) { _ = state.withLock { $0.refused.removeValue(forKey: client) } }

  /// Why token requests cannot be answered, a sentence each; empty when they can.
  package func reasonsNotReady(at now: Instant) -> [String] {
    state.withLock { state in
      let refusals = state.refused.filter { now < $0.value.until }.sorted { $0.key < $1.key }
        .map { "client '\($0.key)': \($0.value.reason)" }
      let isStarting = state.awaitedUntil.map { now < $0 } ?? false
      let missing = isStarting && !state.awaited.isEmpty
      return (state.draining ? ["draining: the process is shutting down"] : [])
        + (missing ? ["starting: \(state.awaited.count) of the prefetched tokens are not there yet"] : []) + refusals
    }
  }

  package var isDraining: Bool { state.withLock(\.draining) }
}
