import Basics
import OAuth

/// Decides which failures get a log line while something is broken and they repeat themselves: the first of each kind,
/// then one a minute at the most, with how many were left out, and that it is over. A value that takes the time.
struct FailureLog {
  /// One key's failures since its last token.
  private struct Streak {
    let since: Instant
    var last: Instant
    var count = 0
    /// For each kind, when it was last logged, and how many have come since.
    var logged: [TokenError.Cause: (at: Instant, leftOut: Int)] = [:]
  }

  private var streaks: [TokenKey: Streak] = [:]
  /// The failures of keys that there is no room for, as if they were one key's.
  private var others: Streak?

  /// The time between two lines of one kind.
  static let pause = Duration.seconds(60)
  /// How many keys are told apart: whoever makes up audiences does not fill the memory, nor the log.
  static let capacity = 1000
  /// A streak that has seen no failure for so long gives its place away.
  static let memory = Duration.seconds(3600)

  /// Counts a failure. Returns how many of its kind have been left out since their last line, or nil if this one is
  /// left out, too.
  mutating func failed(_ key: TokenKey, _ code: TokenError.Cause, now: Instant) -> Int? {
    if streaks.count >= Self.capacity, streaks[key] == nil {
      streaks = streaks.filter { $0.value.last.duration(to: now) < Self.memory }
    }
    let hasRoom = streaks[key] != nil || streaks.count < Self.capacity
    var streak = (hasRoom ? streaks[key] : others) ?? Streak(since: now, last: now)
    streak.last = now
    streak.count += 1
    var leftOut: Int?
    if let line = streak.logged[code], line.at.duration(to: now) < Self.pause {
      streak.logged[code] = (line.at, line.leftOut + 1)
    } else {
      leftOut = streak.logged[code]?.leftOut ?? 0
      streak.logged[code] = (now, 0)
    }
    if hasRoom { streaks[key] = streak } else { others = streak }
    return leftOut
  }

  /// Ends the key's failures with a token. Returns how many there were, and for how long; nil if there was none.
  mutating func succeeded(_ key: TokenKey, now: Instant) -> (failures: Int, lasted: Duration)? {
    streaks.removeValue(forKey: key).map { ($0.count, $0.since.duration(to: now)) }
  }
}
