import Basics
import BrokerCore
import Synchronization

/// Where in a cluster a group's keys are while the primary that has them is away, and for a time after that.
///
/// Each group has a first place, which its name alone decides. While the primary there is away, claims and values go to
/// the group's second place, which another primary has; what was in the first is still read from a replica. Stores that
/// know of the same slots, and of the same primaries that are away, come to the same second place. When there is a
/// primary again claims are at the first place once more, and for a while what was left in the second is looked for,
/// too.
final class RedisPlaces: Sendable {
  typealias Node = RedisTopology.Node

  /// 1 is the first place; those with higher numbers are tried in order until one lies elsewhere.
  struct Plan: Equatable {
    var present = 1
    var other: Int?
    /// The primary of the first place is away.
    var isAway = false
  }

  private struct Trouble {
    /// A primary that was lost, and what it had then.
    let node: Node
    let topology: RedisTopology
    /// When it is forgotten; nil while there is no primary.
    var end: Instant?

    func concerns(_ slot: Int) -> Bool { topology.shard(of: slot)?.primary == node }

    /// Whether it lasted, or lasts, until `other` ended, or as long as `other` does.
    func outlasts(_ other: Self) -> Bool {
      guard let end else { return true }
      return other.end.map { $0 <= end } ?? false
    }
  }

  private struct State {
    var troubles: [Trouble] = []
    var count = 0
  }

  private let state = Mutex(State())
  /// Longer than a claim's lease, and long enough for every broker to give back what it holds.
  private static let aftermath = Duration.seconds(10)
  /// The place with the highest number.
  static let last = 9
  private static let mostTroubles = 64

  /// Notes who has which slots, and which nodes there are connections to. Returns whether there is a primary again.
  @discardableResult
  func update(_ topology: RedisTopology?, isOpen: (Node) -> Bool, now: Instant) -> Bool {
    state.withLock { state in
      var isBack = false
      state.troubles.removeAll { $0.end.map { $0 <= now } ?? (topology == nil) }
      for index in state.troubles.indices where state.troubles[index].end == nil {
        // All that it had goes to one other.
        guard let slot = (0..<RedisSlot.count).first(where: state.troubles[index].concerns),
          let shard = topology?.shard(of: slot), isOpen(shard.primary)
        else { continue }
        state.troubles[index].end = now.advanced(by: Self.aftermath)
        isBack = true
      }
      return isBack
    }
  }

  /// Notes that a primary is away.
  func lost(_ node: Node, in topology: RedisTopology) {
    state.withLock { state in
      if state.troubles.contains(where: { $0.end == nil && $0.node == node }) { return }
      let trouble = Trouble(node: node, topology: topology)
      // One that had nothing leaves no place, and nothing would end its trouble.
      guard (0..<RedisSlot.count).contains(where: trouble.concerns) else { return }
      // Where it is lost again, only the present trouble counts.
      state.troubles.removeAll { $0.node == node }
      state.troubles.insert(trouble, at: 0)
      if state.troubles.count > Self.mostTroubles { state.troubles.removeLast() }
      state.count += 1
    }
  }

  /// How many primaries have been lost so far: if it has grown, what failed may go well elsewhere.
  var losses: Int { state.withLock(\.count) }

  /// Where the group is now. `key` has a key of the group in the place with a number.
  func plan(now: Instant, key: (Int) -> String) -> Plan {
    let troubles = state.withLock(\.troubles)
    if troubles.isEmpty { return Plan() }
    let first = RedisSlot.number(of: key(1))
    guard let trouble = troubles.first(where: { $0.concerns(first) && $0.end.map { $0 > now } ?? true }),
      let second = (2...Self.last).first(where: { place in
        let slot = RedisSlot.number(of: key(place))
        return !troubles.contains { $0.outlasts(trouble) && $0.concerns(slot) }
      })
    else { return Plan() }
    return trouble.end == nil ? Plan(present: second, other: 1, isAway: true) : Plan(present: 1, other: second)
  }
}
