import Synchronization

/// What `/readyz` answers from: written on the slow path, read by probes at any time.
package final class Health: Sendable {
  private struct State {
    var draining = false
    var refused: [String: String] = [:]
  }

  private let state = Mutex(State())

  package init() {}

  package func drain() { state.withLock { $0.draining = true } }

  /// Upstream has refused this client's own credentials.
  func refused(client: String, reason: String) { state.withLock { $0.refused[client] = reason } }

  func accepted(client: String) { _ = state.withLock { $0.refused.removeValue(forKey: client) } }

  /// Why token requests cannot be answered, a sentence each; empty when they can.
  package var reasonsNotReady: [String] {
    state.withLock { state in
      let refusals = state.refused.sorted { $0.key < $1.key }.map { "client '\($0.key)': \($0.value)" }
      return (state.draining ? ["draining: the process is shutting down"] : []) + refusals
    }
  }

  package var isDraining: Bool { state.withLock(\.draining) }
}
