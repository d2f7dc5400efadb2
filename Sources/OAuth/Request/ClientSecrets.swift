package import Basics
import Synchronization

/// A client's secrets, which may be replaced while requests are under way.
package final class ClientSecrets: Sendable {
  private struct State {
    /// The newest first; while a secret is rotated either may be the one accepted.
    var current: [Secret]
    /// The secret in use before these, kept until one of these has been accepted: the tenant may learn of them later.
    var previous: Secret?
    /// When the current ones were taken over.
    var since = Instant.now
    /// When each was last accepted, the latest at the end.
    var accepted: [(secret: Secret, at: Instant)] = []

    var candidates: [Secret] { current + (previous.map { [$0] } ?? []) }

    /// Forgets that secrets were accepted which are no longer candidates, and with it the secrets.
    mutating func forgetRemoved() {
      let kept = candidates
      accepted.removeAll { !kept.contains($0.secret) }
    }
  }

  private let state: Mutex<State>

  package init(_ secrets: [Secret]) { state = Mutex(State(current: secrets)) }

  /// The secrets worth trying, in this order.
  package var candidates: [Secret] { state.withLock(\.candidates) }

  /// False if they are those already in use.
  package func replace(with secrets: [Secret]) -> Bool {
    state.withLock { state in
      if state.current == secrets { return false }
      state.previous = state.current.first { !secrets.contains($0) }
      state.current = secrets
      state.since = .now
      state.forgetRemoved()
      return true
    }
  }

  /// Takes the place of `others`, whose secret in use becomes the previous one.
  package func succeed(_ others: ClientSecrets) {
    let before = others.state.withLock(\.self)
    state.withLock { state in
      state.previous = before.candidates.first { !state.current.contains($0) }
      state.accepted = before.accepted
      if state.current == before.current { state.since = before.since }
      state.forgetRemoved()
    }
  }

  /// The tenant has taken this secret.
  func accepted(_ secret: Secret) {
    state.withLock { state in
      if state.current.contains(secret) { state.previous = nil }
      state.accepted.removeAll { $0.secret == secret }
      state.accepted.append((secret, .now))
      state.forgetRemoved()
    }
  }

  /// Whether this is the one that the tenant took last.
  func wasAccepted(_ secret: Secret) -> Bool { state.withLock { $0.accepted.last?.secret == secret } }

  package var status: [SecretStatus] {
    let state = state.withLock(\.self)
    return state.candidates.enumerated().map { index, secret in
      SecretStatus(
        fingerprint: secret.fingerprint, since: index < state.current.count ? state.since : nil,
        acceptedAt: state.accepted.first { $0.secret == secret }?.at)
    }
  }
}
