import Basics
import HeapModule

/// One client's keys that want a token and have not been asked for yet, the most pressing first.
struct FetchQueue {
  enum Rank: Int {
    /// Somebody waits, or soon would.
    case demanded
    /// A token that is still good is to be replaced.
    case ahead
  }

  private struct Ticket: Comparable {
    let rank: Rank
    /// When the key's token can no longer be served; for one without any, when it was asked for.
    let urgency: Instant
    let number: UInt64
    let key: TokenKey

    static func < (left: Ticket, right: Ticket) -> Bool {
      (left.rank.rawValue, left.urgency, left.number) < (right.rank.rawValue, right.urgency, right.number)
    }

    static func == (left: Ticket, right: Ticket) -> Bool { left.number == right.number }
  }

  private var known = Heap<Ticket>()
  private var unproven = Heap<Ticket>()
  private var valid: [TokenKey: UInt64] = [:]
  private var lastNumber: UInt64 = 0

  var isEmpty: Bool { valid.isEmpty }
  var count: Int { valid.count }
  /// In the order in which they came.
  var keys: [TokenKey] { valid.sorted { $0.value < $1.value }.map(\.key) }

  /// Puts a key into the queue, or to another place in it.
  mutating func insert(_ key: TokenKey, _ rank: Rank, urgency: Instant, isUnproven: Bool) {
    lastNumber += 1
    valid[key] = lastNumber
    let ticket = Ticket(rank: rank, urgency: urgency, number: lastNumber, key: key)
    if isUnproven { unproven.insert(ticket) } else { known.insert(ticket) }
    sweep()
  }

  mutating func remove(_ key: TokenKey) {
    valid[key] = nil
    sweep()
  }

  /// Takes out the first key that `admit` lets through: those demanded that are known, then unproven, then the rest.
  mutating func next(
    _ admit: (_ isUnproven: Bool) -> ClientGate.Admission?
  ) -> (key: TokenKey, admission: ClientGate.Admission)? {
    Self.dropOutdated(&known, valid)
    Self.dropOutdated(&unproven, valid)
    let isKnownDemanded = known.min?.rank == .demanded
    if !isKnownDemanded, !unproven.isEmpty, let admission = admit(true) { return (removeFirst(\.unproven), admission) }
    if !known.isEmpty, let admission = admit(false) { return (removeFirst(\.known), admission) }
    return nil
  }

  private mutating func removeFirst(_ heap: WritableKeyPath<FetchQueue, Heap<Ticket>>) -> TokenKey {
    let key = self[keyPath: heap].removeMin().key
    valid[key] = nil
    return key
  }

  private static func dropOutdated(_ heap: inout Heap<Ticket>, _ valid: [TokenKey: UInt64]) {
    while let first = heap.min, valid[first.key] != first.number { heap.removeMin() }
  }

  /// A ticket whose key was put elsewhere or removed is passed over when it comes up; when there are too many of them,
  /// they go at once.
  private mutating func sweep() {
    guard known.count + unproven.count > 2 * valid.count + 64 else { return }
    known = Heap(known.unordered.filter { valid[$0.key] == $0.number })
    unproven = Heap(unproven.unordered.filter { valid[$0.key] == $0.number })
  }
}
