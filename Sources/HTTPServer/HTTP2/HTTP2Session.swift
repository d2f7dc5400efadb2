import CNghttp2
import Basics
import IO

/// One HTTP/2 connection as a machine: bytes and the time go in, requests and bytes come out. No I/O inside.
///
/// It and its extensions are the only users of libnghttp2, which does framing, header compression, flow control and the
/// validation of RFC 9113; limits, deadlines and budgets are kept here. Called on one loop only.
@safe final class HTTP2Session {
  let limits: ConnectionLimits
  let pool: HTTP2StreamPool
  let session: OpaquePointer
  /// By slot, which is how libnghttp2's callbacks name a stream.
  var streams: [HTTP2Stream?] = []
  var freeSlots: [Int] = []
  /// Slots with a header or a request that is to be looked at, in the order in which they became so.
  var ready: [Int] = []
  /// Streams in the table: those under way, and those orphaned.
  var occupied = 0
  var heldBytes = 0
  /// CONTINUATION frames of the header block at hand.
  var continuations = 0
  /// For the digits of a length.
  var digits = ByteBuffer()
  /// The time of the event at hand.
  var now: Instant
  var requests = 0
  var resets, faults, controls: RateLimiter
  /// Nothing can be said any more: close.
  private(set) var isBroken = false
  private(set) var isGoingAway = false
  /// The error that ends the connection, found in a callback, where it cannot be ended.
  private var breach: UInt32?
  private var hasEnded = false
  /// The newest stream that the peer has begun.
  var newestStream: Int32 = 0
  /// Streams that were reset here while the peer may have gone on with them: the last of them.
  var resetStreams: [Int32] = []
  /// Nothing has been asked yet.
  var isFresh = true
  var idleSince: Instant
  var settingsDeadline: Instant?
  /// When the last of two GOAWAYs goes out at the latest.
  var drainDeadline: Instant?
  /// Not later than the first of all that are set; `deadlinePassed` looks again.
  var deadline: Instant

  /// Throws when there is no memory.
  init(limits: ConnectionLimits, pool: HTTP2StreamPool, now: Instant) throws(HTTP2Error) {
    self.limits = limits
    self.pool = pool
    self.now = now
    resets = RateLimiter(burst: HTTP2Limits.resets.burst, perSecond: HTTP2Limits.resets.rate)
    faults = RateLimiter(burst: HTTP2Limits.faults.burst, perSecond: HTTP2Limits.faults.rate)
    controls = RateLimiter(burst: HTTP2Limits.controls.burst, perSecond: HTTP2Limits.controls.rate)
    idleSince = now
    settingsDeadline = now.advanced(byNanoseconds: limits.headTime)
    deadline = now.advanced(byNanoseconds: limits.headTime)
    unsafe session = try Self.makeSession()
    unsafe nghttp2_session_set_user_data(session, Unmanaged.passUnretained(self).toOpaque())
    let settings = [
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue), value: UInt32(HTTP2Limits.streams)),
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue), value: UInt32(limits.sizes.headBytes)),
      nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES.rawValue), value: 1),
    ]
    unsafe nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), settings, settings.count)
  }

  deinit { unsafe nghttp2_session_del(session) }

  private static func makeSession() throws(HTTP2Error) -> OpaquePointer {
    var option: OpaquePointer?
    guard unsafe nghttp2_option_new(&option) == 0 else { throw .outOfMemory }
    defer { unsafe nghttp2_option_del(option) }
    // Windows open again when a request has been dealt with, so what a peer can have held is bounded by them.
    unsafe nghttp2_option_set_no_auto_window_update(option, 1)
    unsafe nghttp2_option_set_no_closed_streams(option, 1)
    // It counts reads that end inside a frame's nine-byte header too, so it is only there for what ours misses.
    unsafe nghttp2_option_set_max_continuations(option, 10 * HTTP2Limits.continuations)
    unsafe nghttp2_option_set_max_settings(option, 32)
    // Behind our own limit, should that ever miss one.
    unsafe nghttp2_option_set_stream_reset_rate_limit(
      option, UInt64(2 * HTTP2Limits.resets.burst), UInt64(2 * HTTP2Limits.resets.rate))
    var session: OpaquePointer?
    let status = unsafe nghttp2_session_server_new2(&session, callbacks.pointer, nil, option)
    guard status == 0, let session = unsafe session else { throw .outOfMemory }
    return unsafe session
  }

  // MARK: Bytes

  /// Takes all of `bytes`. Requests that have become whole are in `ready` then.
  func receive(_ bytes: Span<UInt8>, now: Instant) {
    self.now = now
    var position = 0
    while position < bytes.count && !isBroken && breach == nil {
      let count = unsafe bytes.withUnsafeBufferPointer { buffer in
        unsafe nghttp2_session_mem_recv(
          session, buffer.baseAddress.map { unsafe $0 + position }, buffer.count - position)
      }
      // Less than nothing is an error that even a GOAWAY does not mend, among them that of a bad preface.
      if count < 0 { isBroken = true } else { position += count }
      if count == 0 { break }
    }
    if let breach { end(with: breach) }
  }

  /// Ends the connection as soon as it can be, with the first error of several.
  func fail(_ code: UInt32) { breach = breach ?? code }

  /// A budget is used up (RFC 9113 §10.5).
  func calmDown() { fail(NGHTTP2_ENHANCE_YOUR_CALM.rawValue) }

  private func end(with code: UInt32) {
    if hasEnded { return }
    hasEnded = true
    terminate(code)
  }

  /// Appends frames until `output` holds `limit` bytes or there is nothing to send.
  func send(into output: inout ByteBuffer, limit: Int, now: Instant) {
    self.now = now
    while output.count < limit && !isBroken {
      var data: UnsafePointer<UInt8>?
      let count = unsafe nghttp2_session_mem_send(session, &data)
      if count < 0 { isBroken = true }
      guard count > 0 else { break }
      unsafe output.append(UnsafeBufferPointer(start: data, count: count).span)
    }
    // What is sent can use up a budget too.
    if let breach, !hasEnded, !isBroken {
      end(with: breach)
      send(into: &output, limit: .max, now: now)
    }
  }

  /// Nothing more is to be read or sent: the connection is at its end.
  var isFinished: Bool {
    if isBroken { return true }
    return unsafe nghttp2_session_want_read(session) == 0 && nghttp2_session_want_write(session) == 0
  }

  // MARK: Streams

  func reset(_ id: Int32, _ code: UInt32) {
    unsafe _ = nghttp2_submit_rst_stream(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), id, code)
  }

  /// The peer may send as much again as it has sent of this stream.
  func giveBackWindow(of stream: HTTP2Stream) {
    if stream.unconsumed == 0 { return }
    if stream.isRemoteClosed || stream.phase == .answered {
      unsafe _ = nghttp2_session_consume_connection(session, stream.unconsumed)
    } else {
      unsafe _ = nghttp2_session_consume(session, stream.id, stream.unconsumed)
    }
    stream.unconsumed = 0
  }

  /// The same for data that belongs to no stream of ours.
  func giveBackWindow(_ count: Int) { unsafe _ = nghttp2_session_consume_connection(session, count) }

  func name(_ id: Int32, slot: Int?) {
    unsafe _ = nghttp2_session_set_stream_user_data(
      session, id, slot.flatMap { unsafe UnsafeMutableRawPointer(bitPattern: $0 + 1) })
  }

  func slot(of id: Int32) -> Int? {
    unsafe nghttp2_session_get_stream_user_data(session, id).map { Int(bitPattern: $0) - 1 }
  }

  // MARK: The end

  /// Says at once that no more streams are taken; those under way are not answered.
  func terminate(_ code: UInt32) {
    isGoingAway = true
    unsafe _ = nghttp2_session_terminate_session(session, code)
  }

  /// The first of two GOAWAYs, behind which a PING goes whose answer shows that the peer has read it (RFC 9113 §6.8).
  func goAway(now: Instant) {
    if isGoingAway { return }
    isGoingAway = true
    let latest = now.advanced(by: .milliseconds(500))
    drainDeadline = latest
    deadline = min(deadline, latest)
    unsafe _ = nghttp2_submit_shutdown_notice(session)
  }

  /// A GOAWAY is on its way. A PING submitted with it would overtake it.
  func sentGoAway() {
    if drainDeadline != nil { unsafe _ = nghttp2_submit_ping(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), nil) }
  }

  /// The second: no stream beyond those begun.
  func finishGoingAway() {
    if drainDeadline == nil { return }
    drainDeadline = nil
    let last = unsafe nghttp2_session_get_last_proc_stream_id(session)
    unsafe _ = nghttp2_submit_goaway(
      session, UInt8(NGHTTP2_FLAG_NONE.rawValue), last, NGHTTP2_NO_ERROR.rawValue, nil, 0)
  }
}

enum HTTP2Error: Error {
  case outOfMemory
}
