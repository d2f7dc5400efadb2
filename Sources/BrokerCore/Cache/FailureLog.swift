import Basics
import OAuth

/// What is worth a line of the failures that repeat themselves while something is broken: the first of each kind, then one
/// a minute at the most, with how many were left out, and that it is over. A value that takes the time.
struct FailureLog {
  /// Of one key's failures since its last token.
  private struct Streak {
    let since: Instant
    var last: Instant
    var count = 0
    /// By kind, when it was last said, and how many have come since.
    var said: [TokenError.Cause: (at: Instant, leftOut: Int)] = [:]
  }

  private var streaks: [TokenKey: Streak] = [:]
  /// Of the keys that there is no room for.
  private var others: Streak?

  static let pause = Duration.seconds(60)
  /// Keys that are told apart: whoever makes up audiences does not fill the memory, nor the log.
  static let capacity = 1000
  /// A streak that has seen no failure for so long gives its place away.
  static let memory = Duration.seconds(3600)

  /// Takes note of a failure. How many of its kind have been left out since the last line of them; nil: this one is too.
  mutating func failed(_ key: TokenKey, _ code: TokenError.Cause, now: Instant) -> Int? {
    makeRoom(for: key, now)
    let isTold = streaks[key] != nil || streaks.count < Self.capacity
    var streak = (isTold ? streaks[key] : others) ?? Streak(since: now, last: now)
    streak.last = now
    streak.count += 1
    var leftOut: Int?
    if let said = streak.said[code], said.at.duration(to: now) < Self.pause {
      streak.said[code] = (said.at, said.leftOut + 1)
    } else {
      leftOut = streak.said[code]?.leftOut ?? 0
      streak.said[code] = (now, 0)
    }
    if isTold { streaks[key] = streak } else { others = streak }
    return leftOut
  }

  /// Takes note of a token. How many failures came before it, and since when; nil: none.
  mutating func succeeded(_ key: TokenKey, now: Instant) -> (failures: Int, lasted: Duration)? {
    streaks.removeValue(forKey: key).map { ($0.count, $0.since.duration(to: now)) }
  }

  private mutating func makeRoom(for key: TokenKey, _ now: Instant) {
    guard streaks.count >= Self.capacity, streaks[key] == nil else { return }
    streaks = streaks.filter { $0.value.last.duration(to: now) < Self.memory }
  }
}
