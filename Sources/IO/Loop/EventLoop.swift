package import Basics
import Dispatch

/// Something with a descriptor on an event loop: a connection, a listener, a mailbox. Called on its loop only.
package protocol EventHandler: AnyObject {
  func ready(_ readiness: Readiness)
  /// The deadline set with `EventLoop.setDeadline` has passed; it is cleared.
  func deadlinePassed()
}

/// One thread's worth of sockets and deadlines: a block on a serial Dispatch queue that waits in epoll.
///
/// Not `Sendable`: a loop and all it holds are made on its queue and never leave it. Other threads reach it through a
/// `Mailbox`.
package final class EventLoop {
  /// Names a registered handler; a number never returns, so a late event cannot reach a new owner of the same slot.
  package struct Registration: Hashable, Sendable {
    fileprivate let slot: UInt32
    fileprivate let generation: UInt32
    fileprivate var token: UInt64 { UInt64(generation) << 32 | UInt64(slot) }
  }

  private struct Source {
    var handler: (any EventHandler)?
    var generation: UInt32 = 0
    var descriptor: Int32 = -1
  }

  /// The time of this turn of the loop.
  package private(set) var now: Instant
  private let epoll: Epoll
  private var sources: [Source] = []
  private var free: [UInt32] = []
  private var wheel: TimerWheel
  private var due: [Int] = []
  private var running = true
  /// Called first in each turn.
  private var wakings: [() -> Void] = []
  /// Called before the loop waits; false where it must not, because there is more to do.
  var betweenTurns: (() -> Bool)?

  private init() throws(SystemError) {
    now = .now
    wheel = TimerWheel(now: now)
    epoll = try Epoll()
  }

  /// Starts a loop on a queue of its own. `setUp` runs there first, and what it makes lives as long as the loop;
  /// `ended` runs there last.
  package static func start<Owner: AnyObject>(
    label: String, setUp: @escaping @Sendable (EventLoop) throws -> Owner,
    ended: @escaping @Sendable (Result<Void, any Error>) -> Void
  ) {
    DispatchQueue(label: label).async {
      ended(
        Result {
          let loop = try EventLoop()
          let owner = try setUp(loop)
          try withExtendedLifetime(owner) { try loop.run() }
        })
    }
  }

  /// Ends the loop after this turn.
  package func stop() { running = false }

  private func run() throws(SystemError) {
    while running {
      let mayWait = betweenTurns?() ?? true
      let count = try epoll.wait(milliseconds: mayWait ? millisecondsToNextDeadline() : 0)
      now = .now
      for waking in wakings { waking() }
      for index in 0..<count {
        let (token, readiness) = epoll.event(index)
        let slot = Int(token & 0xffff_ffff)
        guard sources[slot].generation == UInt32(token >> 32) else { continue }
        sources[slot].handler?.ready(readiness)
      }
      wheel.expire(now: now, into: &due)
      for slot in due { sources[slot].handler?.deadlinePassed() }
      due.removeAll(keepingCapacity: true)
    }
    // Handlers own their sockets and point back here; letting go of them closes what is still open.
    sources.removeAll()
    wakings.removeAll()
  }

  private func millisecondsToNextDeadline() -> Int32 {
    guard let next = wheel.next() else { return -1 }
    // Rounded up: waking a moment early would turn the loop for nothing.
    return max(0, Int32(clamping: (next.nanoseconds - Instant.now.nanoseconds) / 1_000_000 + 1))
  }

  /// Watches `descriptor`, which the handler owns and keeps open until `remove`.
  package func add(
    _ descriptor: Int32, for readiness: Readiness, _ handler: any EventHandler
  ) throws(SystemError) -> Registration {
    let registration = add(handler)
    do {
      try epoll.add(descriptor, for: readiness, token: registration.token)
    } catch {
      remove(registration)
      throw error
    }
    sources[Int(registration.slot)].descriptor = descriptor
    return registration
  }

  /// Takes in a handler that has deadlines only.
  package func add(_ handler: any EventHandler) -> Registration {
    let slot = free.popLast() ?? UInt32(sources.count)
    if slot == sources.count { sources.append(Source()) }
    sources[Int(slot)].handler = handler
    return Registration(slot: slot, generation: sources[Int(slot)].generation)
  }

  package func modify(_ registration: Registration, for readiness: Readiness) throws(SystemError) {
    guard let descriptor = descriptor(of: registration) else { return }
    try epoll.modify(descriptor, for: readiness, token: registration.token)
  }

  /// Forgets the handler. What it still has pending in this turn is dropped.
  package func remove(_ registration: Registration) {
    guard let descriptor = descriptor(of: registration) else { return }
    if descriptor >= 0 { try? epoll.remove(descriptor) }
    sources[Int(registration.slot)].descriptor = -1
    wheel.set(Int(registration.slot), nil)
    sources[Int(registration.slot)].handler = nil
    sources[Int(registration.slot)].generation &+= 1
    free.append(registration.slot)
  }

  /// Has `body` called first in each turn of the loop.
  func onWaking(_ body: @escaping () -> Void) { wakings.append(body) }

  /// Sets, moves or (nil) clears the one deadline of a handler. It is kept to within 50 ms, never early.
  package func setDeadline(_ deadline: Instant?, for registration: Registration) {
    guard descriptor(of: registration) != nil else { return }
    wheel.set(Int(registration.slot), deadline)
  }

  /// The handler registered under `registration`, if it still is.
  package func handler(of registration: Registration) -> (any EventHandler)? {
    descriptor(of: registration) == nil ? nil : sources[Int(registration.slot)].handler
  }

  /// Every handler on the loop.
  package var handlers: [any EventHandler] { sources.compactMap(\.handler) }

  private func descriptor(of registration: Registration) -> Int32? {
    let slot = Int(registration.slot)
    guard slot < sources.count, sources[slot].generation == registration.generation, sources[slot].handler != nil
    else { return nil }
    return sources[slot].descriptor
  }
}
