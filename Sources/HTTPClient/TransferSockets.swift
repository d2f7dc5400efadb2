import Basics
import CCurl
import IO

/// The sockets that curl wants to have watched, on the event loop, and the time at which it wants to be called.
///
/// Sockets of connections that it keeps are watched, too, for their ends: curl itself does not look at them.
final class TransferSockets {
  private final class Watch: EventHandler {
    var wanted: Readiness
    var present = Readiness.nothing
    var registration: EventLoop.Registration?
    /// It is a connection's that has had a request.
    var isKept = false
    /// The other side has ended it, while nobody used it.
    private(set) var hasEnded = false
    weak var transfers: Transfers?

    init(_ wanted: Readiness) { self.wanted = wanted }

    func ready(_ readiness: Readiness) {
      hasEnded = hasEnded || wanted == TransferSockets.end
      transfers?.assumeIsolated { $0.advanceSoon() }
    }

    func deadlinePassed() {}
  }

  private var watches: [curl_socket_t: Watch] = [:]
  private var changed: [curl_socket_t] = []
  /// When curl wants to be called; nil: it does not.
  private var callAt: Instant?
  private var isDue = false
  private var alarm: EventLoop.Registration?
  /// Told once: until curl closes it, the end of a connection stands.
  private static let end: Readiness = [.ended, .onChange]

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

  /// Has curl tell when it closes a connection that `easy` makes; false if it cannot.
  func follow(_ easy: UnsafeMutableRawPointer) -> Bool {
    let context = unsafe Unmanaged.passUnretained(self).toOpaque()
    let code = unsafe ccurl_set_close(
      easy,
      { context, socket in
        if let context = unsafe context {
          unsafe Unmanaged<TransferSockets>.fromOpaque(context).takeUnretainedValue().forget(socket)
        }
        return ccurl_close(socket)
      }, context)
    return code == CURLE_OK
  }

  /// A request is over, and its connection is kept on this socket; CURL_SOCKET_BAD: on none, or others still use it.
  func keep(_ socket: curl_socket_t) {
    if socket == CURL_SOCKET_BAD { return }
    if watches[socket] == nil { watch(socket, for: Self.end) }
    watches[socket]?.isKept = true
  }

  private func want(_ what: Int32, of socket: curl_socket_t) {
    guard what != CURL_POLL_REMOVE else {
      if watches[socket]?.isKept == true { return watch(socket, for: Self.end) }
      return forget(socket)
    }
    var wanted = Readiness.nothing
    if what & CURL_POLL_IN != 0 { wanted.insert(.readable) }
    if what & CURL_POLL_OUT != 0 { wanted.insert(.writable) }
    watch(socket, for: wanted)
  }

  private func watch(_ socket: curl_socket_t, for wanted: Readiness) {
    if let watch = watches[socket] { watch.wanted = wanted } else { watches[socket] = Watch(wanted) }
    changed.append(socket)
  }

  /// At once: curl may close it, and its number be another's.
  private func forget(_ socket: curl_socket_t) {
    if let registration = watches.removeValue(forKey: socket)?.registration {
      TaskLoop.shared.events.remove(registration)
    }
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

  /// Whether any connection has ended while nobody used it.
  var haveEnded: Bool { watches.values.contains(where: \.hasEnded) }

  /// Has the loop watch what curl wants now, for `transfers`, and call at `latest`. What is wanted for a moment only,
  /// while curl is at work, is never asked of the loop.
  func settle(for transfers: Transfers, isIdle: Bool, by latest: Instant) {
    let events = TaskLoop.shared.events
    for socket in changed {
      guard let watch = watches[socket], watch.wanted != watch.present else { continue }
      watch.present = watch.wanted
      if let registration = watch.registration {
        if (try? events.modify(registration, for: watch.wanted)) != nil { continue }
        // libcurl 7.88 may close a failed attempt's socket without a word, and the next has the same number.
        events.remove(registration)
      }
      watch.transfers = transfers
      watch.registration = try? events.add(socket, for: watch.wanted, watch)
    }
    changed.removeAll(keepingCapacity: true)
    let alarm = alarm ?? events.add(Alarm(transfers))
    self.alarm = alarm
    if isIdle { return events.setDeadline(watches.isEmpty ? nil : latest, for: alarm) }
    events.setDeadline(min(isDue ? .now : callAt ?? .distantFuture, latest), for: alarm)
  }

  /// For the end, when curl has closed all of its sockets.
  func stop() { alarm.map(TaskLoop.shared.events.remove) }

  /// The time. Like what watches a socket, it does not hold the transfers: whoever waits for one does.
  private final class Alarm: EventHandler {
    private weak var transfers: Transfers?

    init(_ transfers: Transfers) { self.transfers = transfers }

    func ready(_ readiness: Readiness) {}

    func deadlinePassed() { transfers?.assumeIsolated { $0.advanceSoon() } }
  }
}
