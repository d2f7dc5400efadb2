import Basics
import Synchronization

/// Which lines are written of what many may cause as often as they like: for each of them the first, and then one a
/// minute.
final class RepeatedLines: Sendable {
  private struct Last {
    let at: Instant
    var leftOut = 0
  }

  private struct State {
    var lines: [String: Last] = [:]
    /// For those there is no room for, as if they were one.
    var others: Last?
  }

  private let state = Mutex(State())

  /// The time between two lines of one.
  static let pause = Duration.seconds(60)
  /// How many are told apart.
  static let capacity = 1000

  /// How many lines of `name` have been left out since the last; nil if this one is left out, too.
  func admit(_ name: String, now: Instant) -> Int? {
    state.withLock { state in
      if state.lines.count >= Self.capacity, state.lines[name] == nil {
        state.lines = state.lines.filter { $0.value.at.duration(to: now) < Self.pause }
      }
      let hasRoom = state.lines[name] != nil || state.lines.count < Self.capacity
      return hasRoom ? Self.admit(&state.lines[name], now) : Self.admit(&state.others, now)
    }
  }

  private static func admit(_ last: inout Last?, _ now: Instant) -> Int? {
    if let at = last?.at, at.duration(to: now) < pause {
      last?.leftOut += 1
      return nil
    }
    defer { last = Last(at: now) }
    return last?.leftOut ?? 0
  }
}
