import Synchronization

/// A client's secrets, which may be replaced while requests are under way.
package final class ClientSecrets: Sendable {
  private struct State {
    /// The newest first; while a secret is rotated either may be the one accepted.
    var current: [Secret]
    /// The one before these, kept until one of these has been accepted: the tenant may learn of a new secret later.
    var previous: Secret?
  }

  private let state: Mutex<State>

  package init(_ secrets: [Secret]) {
    state = Mutex(State(current: secrets))
  }

  /// Those worth trying, in this order.
  package var candidates: [Secret] {
    state.withLock { state in state.current + (state.previous.map { [$0] } ?? []) }
  }

  /// False if they are those already in use.
  package func replace(with secrets: [Secret]) -> Bool {
    state.withLock { state in
      if state.current == secrets { return false }
      state.previous = state.current.first { !secrets.contains($0) }
      state.current = secrets
      return true
    }
  }

  /// Takes the place of `others`: of those, the one in use stays the previous one.
  package func succeed(_ others: ClientSecrets) {
    let before = others.candidates
    state.withLock { state in state.previous = before.first { !state.current.contains($0) } }
  }

  /// The tenant has taken this secret.
  func accepted(_ secret: Secret) {
    state.withLock { state in
      if state.current.contains(secret) { state.previous = nil }
    }
  }
}
