import Synchronization

/// Told once, seen by another task.
final class Flag: Sendable {
  private let state = Mutex(false)

  func raise() { state.withLock { $0 = true } }
  var isRaised: Bool { state.withLock(\.self) }
}
