package import Basics
import Synchronization

/// What `/readyz` answers from: written on the slow path, read by probes at any time.
package final class Health: Sendable {
  private struct State {
    var draining = false
    var refused: [String: (reason: String, until: Instant)] = [:]
  }

  /// What is known of a refusal grows old: a broker that is never asked again, because it is unready, must become
  /// ready.
  private static let memory = Duration.seconds(60)

  private let state = Mutex(State())

  package init() {}

  package func drain() { state.withLock { $0.draining = true } }

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
      return (state.draining ? ["draining: the process is shutting down"] : []) + refusals
    }
  }

  package var isDraining: Bool { state.withLock(\.draining) }
}
