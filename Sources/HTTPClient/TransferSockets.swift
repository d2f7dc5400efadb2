import Basics
import CCurl
import IO

/// The sockets that curl wants to have watched, on the event loop, and the time at which it wants to be called.
final class TransferSockets {
  private final class Watch {
    var wanted: Readiness
    var present: Readiness
    var registration: EventLoop.Registration?

    init(_ wanted: Readiness) { (self.wanted, present) = (wanted, .nothing) }
  }

  private var watches: [curl_socket_t: Watch] = [:]
  private var changed: [curl_socket_t] = []
  /// When curl wants to be called; nil: it does not.
  private var callAt: Instant?
  private var isDue = false
  private var alarm: EventLoop.Registration?

  /// Has curl tell what it wants; this must outlive its handle.
  func serve(_ multi: UnsafeMutableRawPointer) {
    let context = unsafe Unmanaged.passUnretained(self).toOpaque()
    _ = unsafe ccurl_multi_set_socket(
      multi,
      { _, socket, what, context, _ in
        guard let context = unsafe context else { return 0 }
        unsafe Unmanaged<TransferSockets>.fromOpaque(context).takeUnretainedValue().want(what, of: socket)
        return 0
      }, context)
    _ = unsafe ccurl_multi_set_timer(
      multi,
      { _, milliseconds, context in
        guard let context = unsafe context else { return 0 }
        unsafe Unmanaged<TransferSockets>.fromOpaque(context).takeUnretainedValue().call(in: milliseconds)
        return 0
      }, context)
  }

  private func want(_ what: Int32, of socket: curl_socket_t) {
    guard what != CURL_POLL_REMOVE else {
      // At once: curl may close it, and its number be another's.
      if let registration = watches.removeValue(forKey: socket)?.registration {
        TaskLoop.shared.events.remove(registration)
      }
      return
    }
    var wanted = Readiness.nothing
    if what & CURL_POLL_IN != 0 { wanted.insert(.readable) }
    if what & CURL_POLL_OUT != 0 { wanted.insert(.writable) }
    if let watch = watches[socket] { watch.wanted = wanted } else { watches[socket] = Watch(wanted) }
    changed.append(socket)
  }

  private func call(in milliseconds: Int) {
    isDue = milliseconds == 0
    callAt = milliseconds > 0 ? Instant.now.advanced(by: .milliseconds(milliseconds)) : nil
  }

  /// Whether curl is to be called now; asking answers that.
  func takeIsDue() -> Bool {
    defer { isDue = false }
    return isDue
  }

  /// Has the loop watch what curl wants now, for `transfers`; nil: nothing is in flight any more. What is wanted for a
  /// moment only, while curl is at work, is never asked of the loop.
  func settle(for transfers: Transfers?, within longest: Duration) {
    let events = TaskLoop.shared.events
    for socket in changed {
      guard let transfers, let watch = watches[socket], watch.wanted != watch.present else { continue }
      watch.present = watch.wanted
      if let registration = watch.registration {
        try? events.modify(registration, for: watch.wanted)
      } else {
        watch.registration = try? events.add(
          socket, for: watch.wanted, Handler(transfers))
      }
    }
    changed.removeAll(keepingCapacity: true)
    guard let transfers else {
      alarm.map(events.remove)
      alarm = nil
      return
    }
    let alarm = alarm ?? events.add(Handler(transfers))
    self.alarm = alarm
    let now = Instant.now
    let next = isDue ? now : callAt ?? .distantFuture
    events.setDeadline(min(next, now.advanced(by: longest)), for: alarm)
  }

  /// A socket on the loop, or the time. It holds the transfers, for as long as any of them is under way.
  private final class Handler: EventHandler {
    private let transfers: Transfers

    init(_ transfers: Transfers) { self.transfers = transfers }

    func ready(_ readiness: Readiness) { transfers.assumeIsolated { $0.advanceSoon() } }

    func deadlinePassed() { transfers.assumeIsolated { $0.advanceSoon() } }
  }
}
