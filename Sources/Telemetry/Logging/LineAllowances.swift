import Basics
import Synchronization

/// How many lines are written of what many may cause as often as they like: of each of them so many a minute, and as
/// many at once after a quiet minute. So whoever causes a flood hides nobody else's lines.
final class LineAllowances: Sendable {
  private struct Account {
    var limiter: RateLimiter
    /// Lines left out since the last one.
    var unsaid = 0

    mutating func admit(_ now: Instant) -> Int? {
      if limiter.admit(now: now) != nil {
        unsaid += 1
        return nil
      }
      defer { unsaid = 0 }
      return unsaid
    }
  }

  private struct State {
    var accounts: [String: Account] = [:]
    /// For those there is no room for, as if they were one.
    var others: Account
  }

  private let unused: Account
  private let state: Mutex<State>

  /// How many are told apart.
  static let capacity = 1000

  init(perMinute: Int) {
    unused = Account(limiter: RateLimiter(perMinute: perMinute))
    state = Mutex(State(others: unused))
  }

  /// How many lines of `name` are missing before this one; nil where this one is left out, too.
  func admit(_ name: String, now: Instant) -> Int? {
    state.withLock { state in
      if state.accounts.count >= Self.capacity, state.accounts[name] == nil {
        state.accounts = state.accounts.filter { !$0.value.limiter.isIdle(now: now) }
      }
      guard state.accounts[name] != nil || state.accounts.count < Self.capacity else { return state.others.admit(now) }
      return state.accounts[name, default: unused].admit(now)
    }
  }
}
