import CLinux
import Glibc

/// What a descriptor is watched for, or what is reported of it.
package struct Readiness: OptionSet, Sendable {
  package let rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  package static let nothing = Readiness()
  package static let readable = Readiness(rawValue: EPOLLIN.rawValue)
  package static let writable = Readiness(rawValue: EPOLLOUT.rawValue)
  /// Where several loops watch one descriptor so, not all of them are woken (EPOLLEXCLUSIVE). It is asked for, never
  /// reported.
  package static let exclusive = Readiness(rawValue: EPOLLEXCLUSIVE.rawValue)
  /// Only what changes is reported, each time (EPOLLET): an event descriptor need not be read then. It is asked for,
  /// never reported.
  package static let onChange = Readiness(rawValue: EPOLLET.rawValue)
  /// The other side has closed: it sends nothing more (EPOLLRDHUP).
  package static let ended = Readiness(rawValue: EPOLLRDHUP.rawValue)
  /// Reset, or closed in both directions; reported whether watched for or not.
  package static let broken = Readiness(rawValue: EPOLLHUP.rawValue | EPOLLERR.rawValue)
}

/// Level-triggered epoll(7): descriptors in, (token, readiness) out.
@safe struct Epoll: ~Copyable {
  private let descriptor: Descriptor
  private let events: UnsafeMutableBufferPointer<epoll_event>

  init(eventsPerWait: Int = 256) throws(SystemError) {
    descriptor = try SystemCall.makeEpoll()
    unsafe events = .allocate(capacity: eventsPerWait)
  }

  deinit { unsafe events.deallocate() }

  func add(_ number: Int32, for readiness: Readiness, token: UInt64) throws(SystemError) {
    try control(EPOLL_CTL_ADD, number, readiness, token)
  }

  func modify(_ number: Int32, for readiness: Readiness, token: UInt64) throws(SystemError) {
    do throws(SystemError) {
      try control(EPOLL_CTL_MOD, number, readiness, token)
    } catch {
      // What is watched exclusively cannot be modified, only added anew.
      if error.code != EINVAL { throw error }
      try remove(number)
      try add(number, for: readiness, token: token)
    }
  }

  func remove(_ number: Int32) throws(SystemError) { try control(EPOLL_CTL_DEL, number, [], 0) }

  private func control(
    _ operation: Int32, _ number: Int32, _ readiness: Readiness, _ token: UInt64
  ) throws(SystemError) {
    let event = unsafe epoll_event(events: readiness.rawValue, data: epoll_data_t(u64: token))
    try unsafe SystemCall.control(descriptor.number, operation, number, event)
  }

  /// Waits at most `milliseconds` (-1: without end) and returns how many events there are. A signal ends the wait
  /// early.
  func wait(milliseconds: Int32) throws(SystemError) -> Int {
    try unsafe SystemCall.wait(descriptor.number, into: events, milliseconds: milliseconds)
  }

  /// The event at `index`, below what `wait` returned.
  func event(_ index: Int) -> (token: UInt64, readiness: Readiness) {
    let event = unsafe events[index]
    return unsafe (event.data.u64, Readiness(rawValue: event.events))
  }
}
