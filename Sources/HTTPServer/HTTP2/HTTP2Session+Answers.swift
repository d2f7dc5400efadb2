import CNghttp2
import Basics
import IO

/// Answers on their way to libnghttp2, which copies the fields and asks for the body when there is room for it.
extension HTTP2Session {
  /// Answers a stream, whose request is forgotten with that. `body` is emptied into it; `length` is of the body that
  /// there is or, for HEAD, would be.
  func respond(
    _ slot: Int, _ head: HTTP2Head, length: Int?, date: Span<UInt8>, requestID: Span<UInt8>, body: inout ByteBuffer
  ) {
    guard let stream = streams[slot] else { return body.removeAll() }
    forgetRequest(of: stream)
    swap(&stream.answer, &body)
    body.removeAll()
    stream.phase = .answered
    stream.deadline = now.advanced(byNanoseconds: limits.writeTime)
    deadline = min(deadline, stream.deadline)
    digits.removeAll()
    if let length { digits.append(decimal: UInt64(length)) }
    let isEmpty = stream.answer.isEmpty
    let status = digits.withBytes { digits in
      unsafe Self.withFields(head, digits, date, requestID) { fields in
        var source = unsafe nghttp2_data_provider(
          source: nghttp2_data_source(fd: Int32(slot)), read_callback: Self.readAnswer)
        if isEmpty { return unsafe nghttp2_submit_response(session, stream.id, fields.baseAddress, fields.count, nil) }
        return unsafe nghttp2_submit_response(session, stream.id, fields.baseAddress, fields.count, &source)
      }
    }
    if status != 0 { reset(stream.id, NGHTTP2_INTERNAL_ERROR.rawValue) }
    giveBackWindow(of: stream)
  }

  /// Its bytes have been read, and are not held any longer.
  func forgetRequest(of stream: HTTP2Stream) {
    heldBytes -= stream.request.bytes.count
    stream.request.removeAll()
  }

  /// Tells the peer to send the body that it holds back (RFC 9110 §10.1.1).
  func sendContinue(_ stream: HTTP2Stream) {
    let nothing: [UInt8] = []
    unsafe _ = Self.withFields(HTTP2Head(100, []), nothing.span, nothing.span, nothing.span) { fields in
      unsafe nghttp2_submit_headers(
        session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, nil, fields.baseAddress, fields.count, nil)
    }
  }

  /// Lines up the fields of a head and those that every response has; the ones that are empty are left out.
  private static func withFields(
    _ head: HTTP2Head, _ length: Span<UInt8>, _ date: Span<UInt8>, _ requestID: Span<UInt8>,
    _ body: (UnsafeMutableBufferPointer<nghttp2_nv>) -> Int32
  ) -> Int32 {
    unsafe withUnsafeTemporaryAllocation(of: nghttp2_nv.self, capacity: head.fields.count + 3) { room in
      unsafe head.text.withUnsafeBufferPointer { text in
        var count = 0
        func add(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>, isIndexed: Bool) {
          let flags = isIndexed ? NGHTTP2_NV_FLAG_NONE : NGHTTP2_NV_FLAG_NO_INDEX
          unsafe room.initializeElement(
            at: count,
            to: nghttp2_nv(
              name: UnsafeMutablePointer(mutating: name.baseAddress),
              value: UnsafeMutablePointer(mutating: value.baseAddress), namelen: name.count, valuelen: value.count,
              flags: UInt8(flags.rawValue)))
          count += 1
        }
        func add(_ name: StaticString, _ value: Span<UInt8>, isIndexed: Bool) {
          if value.isEmpty { return }
          unsafe value.withUnsafeBufferPointer { value in
            name.withUTF8Buffer { unsafe add($0, value, isIndexed: isIndexed) }
          }
        }
        for field in head.fields {
          unsafe add(
            UnsafeBufferPointer(rebasing: text[field.name]), UnsafeBufferPointer(rebasing: text[field.value]),
            isIndexed: !field.isSecret)
        }
        add("content-length", length, isIndexed: false)
        add("date", date, isIndexed: true)
        // Never the same twice: in the table it would only push out what is.
        add("x-request-id", requestID, isIndexed: false)
        return unsafe body(UnsafeMutableBufferPointer(rebasing: room[..<count]))
      }
    }
  }
}
