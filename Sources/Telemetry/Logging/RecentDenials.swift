package import Basics
import Synchronization

/// A request that was denied.
package struct Denial: Sendable {
  /// When that was last.
  package var at: Instant
  package var peer: String
  /// nil where nobody was recognised.
  package let caller: String?
  package let audience: String?
  package let reason: String
  /// How often, with the same caller, audience and reason.
  package var times = 1
}

/// The last denials. Those that are alike are one, and no caller, or place where nobody was recognised, has more than a
/// few: whoever is denied again and again does not drive the others out.
package final class RecentDenials: Sendable {
  private struct Entry {
    var denial: Denial
    /// The caller, or where the request came from.
    let who: String
  }

  static let capacity = 20
  static let capacityOfOne = 5

  /// The latest first.
  private let entries = Mutex<[Entry]>([])

  package init() {}

  package var all: [Denial] { entries.withLock { $0.map(\.denial) } }

  /// `place` is where it came from, as far as one place can be told from another.
  func note(_ denial: Denial, from place: String) {
    let who = denial.caller ?? place
    entries.withLock { entries in
      var denial = denial
      if let index = entries.firstIndex(where: { $0.who == who && $0.denial.isLike(denial) }) {
        denial.times += entries.remove(at: index).denial.times
      } else if entries.count(where: { $0.who == who }) >= Self.capacityOfOne {
        entries.lastIndex { $0.who == who }.map { _ = entries.remove(at: $0) }
      } else if entries.count >= Self.capacity {
        entries.removeLast()
      }
      entries.insert(Entry(denial: denial, who: who), at: 0)
    }
  }
}

extension Denial {
  fileprivate func isLike(_ other: Denial) -> Bool {
    caller == other.caller && audience == other.audience && reason == other.reason
  }
}
