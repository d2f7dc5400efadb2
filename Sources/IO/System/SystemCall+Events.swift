import CLinux
import Glibc

/// epoll(7), eventfd(2) and inotify(7).
extension SystemCall {
  static func makeEpoll() throws(SystemError) -> Descriptor {
    Descriptor(try call("epoll_create1") { epoll_create1(Int32(EPOLL_CLOEXEC)) })
  }

  /// Adds, changes or removes (`operation`) what `epoll` watches a descriptor for.
  static func control(
    _ epoll: Int32, _ operation: Int32, _ descriptor: Int32, _ event: epoll_event
  ) throws(SystemError) {
    var event = unsafe event
    _ = try call("epoll_ctl") { unsafe epoll_ctl(epoll, operation, descriptor, &event) }
  }

  /// Waits at most `milliseconds` (-1: without end) and returns how many events there are. A signal ends the wait
  /// early.
  static func wait(
    _ epoll: Int32, into events: UnsafeMutableBufferPointer<epoll_event>, milliseconds: Int32
  ) throws(SystemError) -> Int {
    // Newer headers take no null, and so have the pointer non-optional.
    guard let first = events.baseAddress else { return 0 }
    let count = unsafe epoll_wait(epoll, first, Int32(events.count), milliseconds)
    if count >= 0 { return Int(count) }
    let code = errno
    if code == EINTR { return 0 }
    throw SystemError("epoll_wait", code)
  }

  static func makeEvent() throws(SystemError) -> Descriptor {
    Descriptor(try call("eventfd") { eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)) })
  }

  /// Adds one to an event descriptor's counter: wakes who polls it.
  static func signal(_ event: Int32) {
    var one: UInt64 = 1
    _ = unsafe Glibc.write(event, &one, 8)
  }

  static func clear(_ event: Int32) {
    var count: UInt64 = 0
    _ = unsafe Glibc.read(event, &count, 8)
  }

  /// A non-blocking inotify descriptor, which the caller closes.
  static func makeInotify() throws(SystemError) -> Int32 {
    try call("inotify_init1") { inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK)) }
  }

  /// Watches a directory for files in it that were written, moved there or deleted. Does nothing if that fails.
  static func watch(_ directory: String, with inotify: Int32) {
    // Not IN_CREATE: a file that has just been made is still to be written.
    let events = IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE
    unsafe _ = inotify_add_watch(inotify, directory, UInt32(events))
  }

  /// Reads to nowhere all that a non-blocking descriptor has.
  static func drain(_ descriptor: Int32) {
    var buffer = [UInt8](repeating: 0, count: 4096)
    while unsafe Glibc.read(descriptor, &buffer, buffer.count) > 0 {}
  }
}
