package import Basics

/// At most one deadline for each slot of a table: set, moved and cleared in constant time, without allocating.
///
/// A hashed wheel with intrusive lists. A deadline fires on the tick after it, so up to `tick` late and never early;
/// one that is more than a turn of the wheel away is checked once a turn.
package struct TimerWheel {
  private static let size = 1024
  private static let none: Int32 = -1
  /// In nanoseconds.
  private let tick: Int64
  private let origin: Instant
  /// The first tick that `expire` has not reached yet.
  private var current = 0
  /// No list before this tick's holds anything.
  private var earliest = 0
  private var armed = 0

  private var first = [Int32](repeating: none, count: size)
  private var slots: [Slot] = []

  private struct Slot {
    var deadline: Instant
    var tick = -1
    var next = TimerWheel.none
    var previous = TimerWheel.none
  }

  package init(now: Instant, tick: Duration = .milliseconds(50)) {
    self.tick = tick.nanoseconds
    origin = now
  }

  /// Sets, moves or (nil) clears the deadline of `slot`.
  package mutating func set(_ slot: Int, _ deadline: Instant?) {
    while slots.count <= slot { slots.append(Slot(deadline: origin)) }
    guard let deadline else { return unlink(slot) }
    slots[slot].deadline = deadline
    let wanted = max(current, ticks(until: deadline) + 1)
    if slots[slot].tick == wanted { return }
    unlink(slot)
    link(slot, at: wanted)
  }

  /// When `expire` is due next; nil when nothing is set.
  package mutating func next() -> Instant? {
    if armed == 0 { return nil }
    earliest = max(earliest, current)
    while first[earliest % Self.size] == Self.none { earliest += 1 }
    return origin.advanced(byNanoseconds: tick * Int64(earliest))
  }

  /// Clears each deadline that has passed and appends its slot to `due`.
  package mutating func expire(now: Instant, into due: inout [Int]) {
    let last = ticks(until: now)
    // One turn reaches every list; more would find nothing new.
    let turns = min(last - current + 1, Self.size)
    guard turns > 0 else { return }
    for offset in 0..<turns {
      var slot = first[(current + offset) % Self.size]
      while slot != Self.none {
        let index = Int(slot)
        slot = slots[index].next
        if slots[index].tick <= last {
          unlink(index)
          due.append(index)
        }
      }
    }
    current = last + 1
  }

  private func ticks(until instant: Instant) -> Int { max(0, Int((instant.nanoseconds - origin.nanoseconds) / tick)) }

  private mutating func link(_ slot: Int, at tick: Int) {
    let bucket = tick % Self.size
    let head = first[bucket]
    slots[slot].tick = tick
    slots[slot].next = head
    slots[slot].previous = Self.none
    if head != Self.none { slots[Int(head)].previous = Int32(slot) }
    first[bucket] = Int32(slot)
    earliest = min(earliest, tick)
    armed += 1
  }

  private mutating func unlink(_ slot: Int) {
    let entry = slots[slot]
    if entry.tick < 0 { return }
    if entry.next != Self.none { slots[Int(entry.next)].previous = entry.previous }
    if entry.previous != Self.none {
      slots[Int(entry.previous)].next = entry.next
    } else {
      first[entry.tick % Self.size] = entry.next
    }
    slots[slot].tick = -1
    armed -= 1
  }
}
