import CNghttp2
import IO

/// The C side of libnghttp2's callbacks: each finds its session and stream, and says what has happened in our terms.
extension HTTP2Session {
  /// One table for all sessions, never changed once it is made.
  @safe final class Callbacks: @unchecked Sendable {
    // Unchecked because a pointer is not Sendable; what it leads to is only read.
    let pointer: OpaquePointer?

    fileprivate init(_ fill: (OpaquePointer?) -> Void) {
      var made: OpaquePointer?
      unsafe _ = nghttp2_session_callbacks_new(&made)
      unsafe pointer = made
      unsafe fill(made)
    }
  }

  static let callbacks = unsafe Callbacks { table in
    unsafe nghttp2_session_callbacks_set_on_begin_frame_callback(table) { _, header, context in
      if let header = unsafe header?.pointee, let session = unsafe HTTP2Session.at(context) {
        session.beganFrame(UInt32(header.type), of: header.stream_id)
      }
      return 0
    }
    unsafe nghttp2_session_callbacks_set_on_begin_headers_callback(table) { _, frame, context in
      guard let (session, frame) = unsafe HTTP2Session.at(context, frame) else { return 0 }
      return unsafe session.beganHeaders(of: frame.hd.stream_id, isRequest: frame.isRequest)
    }
    unsafe nghttp2_session_callbacks_set_on_header_callback(table) {
      _, frame, name, nameLength, value, length, _, context in
      guard let (session, frame) = unsafe HTTP2Session.at(context, frame) else { return 0 }
      let nameBytes = unsafe UnsafeBufferPointer(start: name, count: nameLength)
      let valueBytes = unsafe UnsafeBufferPointer(start: value, count: length)
      return unsafe session.received(
        field: nameBytes.span, valueBytes.span, of: frame.hd.stream_id, isRequest: frame.isRequest)
    }
    unsafe nghttp2_session_callbacks_set_on_invalid_header_callback(table) { _, frame, _, _, _, _, _, context in
      guard let (session, frame) = unsafe HTTP2Session.at(context, frame) else { return 0 }
      unsafe session.receivedInvalidField(of: frame.hd.stream_id)
      return 0
    }
    unsafe nghttp2_session_callbacks_set_on_frame_recv_callback(table) { _, frame, context in
      guard let (session, frame) = unsafe HTTP2Session.at(context, frame) else { return 0 }
      unsafe session.received(frame)
      return 0
    }
    unsafe nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(table) { _, frame, _, context in
      guard let (session, frame) = unsafe HTTP2Session.at(context, frame) else { return 0 }
      session.noteReset(of: unsafe frame.hd.stream_id)
      session.countFault()
      return 0
    }
    unsafe nghttp2_session_callbacks_set_on_data_chunk_recv_callback(table) { _, _, id, data, count, context in
      let bytes = unsafe UnsafeBufferPointer(start: data, count: count)
      unsafe HTTP2Session.at(context)?.received(data: bytes.span, of: id)
      return 0
    }
    unsafe nghttp2_session_callbacks_set_on_stream_close_callback(table) { _, id, _, context in
      unsafe HTTP2Session.at(context)?.closed(id)
      return 0
    }
    unsafe nghttp2_session_callbacks_set_on_frame_send_callback(table) { _, frame, context in
      guard let (session, frame) = unsafe HTTP2Session.at(context, frame) else { return 0 }
      unsafe session.sent(frame)
      return 0
    }
  }

  /// Gives libnghttp2 what is next of an answer.
  static let readAnswer: nghttp2_data_source_read_callback = { _, _, buffer, capacity, flags, source, context in
    guard let session = unsafe at(context), let slot = unsafe source?.pointee.fd, let buffer = unsafe buffer else {
      return ssize_t(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
    }
    let room = unsafe UnsafeMutableRawBufferPointer(start: buffer, count: capacity)
    guard let (count, isLast) = unsafe session.takeAnswer(Int(slot), into: room) else {
      return ssize_t(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
    }
    if isLast { unsafe flags?.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue }
    return count
  }

  private static func at(_ context: UnsafeMutableRawPointer?) -> HTTP2Session? {
    // The session outlives its libnghttp2 session, and so every callback of it.
    unsafe context.map { unsafe Unmanaged<HTTP2Session>.fromOpaque($0).takeUnretainedValue() }
  }

  private static func at(
    _ context: UnsafeMutableRawPointer?, _ frame: UnsafePointer<nghttp2_frame>?
  ) -> (HTTP2Session, nghttp2_frame)? {
    guard let session = unsafe at(context), let frame = unsafe frame?.pointee else { return nil }
    return unsafe (session, frame)
  }

  // MARK: Frames

  private func received(_ frame: nghttp2_frame) {
    let header = unsafe frame.hd
    let ends = header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
    switch UInt32(header.type) {
    case NGHTTP2_HEADERS.rawValue:
      finishedHeaders(of: header.stream_id, isRequest: unsafe frame.isRequest)
      if ends { finishedRequest(of: header.stream_id) }
    case NGHTTP2_DATA.rawValue:
      let isEmpty = unsafe header.length <= frame.data.padlen
      if ends { finishedRequest(of: header.stream_id) } else if isEmpty { countControl() }
    case NGHTTP2_RST_STREAM.rawValue: countReset()
    case NGHTTP2_SETTINGS.rawValue where header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0: settingsDeadline = nil
    case NGHTTP2_PING.rawValue where header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0:
      countControl()
      finishGoingAway()
    case NGHTTP2_PRIORITY.rawValue: break
    default: countControl()
    }
  }

  private func sent(_ frame: nghttp2_frame) {
    let header = unsafe frame.hd
    switch UInt32(header.type) {
    case NGHTTP2_RST_STREAM.rawValue:
      noteReset(of: header.stream_id)
      countFault()
    case NGHTTP2_GOAWAY.rawValue: sentGoAway()
    case NGHTTP2_HEADERS.rawValue, NGHTTP2_DATA.rawValue:
      if header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0 { sentAnswer(of: header.stream_id) }
    default: break
    }
  }
}

extension nghttp2_frame {
  fileprivate var isRequest: Bool {
    unsafe UInt32(hd.type) == NGHTTP2_HEADERS.rawValue && headers.cat == NGHTTP2_HCAT_REQUEST
  }
}
