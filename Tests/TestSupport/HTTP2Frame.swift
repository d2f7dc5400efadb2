/// A frame of HTTP/2 as bytes (RFC 9113 §4.1): tests say exactly what they want said, and read what is answered.
package struct HTTP2Frame: Sendable {
  package var type: UInt8
  package var flags: UInt8
  package var stream: Int
  package var payload: [UInt8]

  package static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
  /// What every client begins with: the preface and empty SETTINGS.
  package static let greeting = preface + settings().bytes

  package init(_ type: UInt8, flags: UInt8 = 0, stream: Int = 0, _ payload: [UInt8] = []) {
    self.type = type
    self.flags = flags
    self.stream = stream
    self.payload = payload
  }

  package var bytes: [UInt8] {
    Self.number(payload.count, 3) + [type, flags] + Self.number(stream, 4) + payload
  }

  private static func number(_ value: Int, _ count: Int) -> [UInt8] {
    (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }

  // MARK: Making

  package static func data(_ stream: Int, _ data: [UInt8], ends: Bool = false, padding: Int? = nil) -> HTTP2Frame {
    let flags: UInt8 = (ends ? 1 : 0) | (padding == nil ? 0 : 8)
    let payload = padding.map { [UInt8($0)] + data + [UInt8](repeating: 0, count: $0) } ?? data
    return HTTP2Frame(0, flags: flags, stream: stream, payload)
  }

  package static func headers(
    _ stream: Int, _ fields: [(String, String)], ends: Bool = true, endsBlock: Bool = true
  ) -> HTTP2Frame {
    HTTP2Frame(1, flags: (ends ? 1 : 0) | (endsBlock ? 4 : 0), stream: stream, block(fields))
  }

  package static func get(_ stream: Int, _ path: String = "/", _ more: (String, String)...) -> HTTP2Frame {
    headers(stream, request("GET", path) + more)
  }

  package static func post(_ stream: Int, _ path: String = "/", _ more: (String, String)...) -> HTTP2Frame {
    headers(stream, request("POST", path) + more, ends: false)
  }

  package static func request(_ method: String, _ path: String) -> [(String, String)] {
    [(":method", method), (":scheme", "http"), (":authority", "a"), (":path", path)]
  }

  package static func reset(_ stream: Int, _ code: Int = 8) -> HTTP2Frame {
    HTTP2Frame(3, stream: stream, number(code, 4))
  }

  package static func settings(_ entries: (Int, Int)..., isAck: Bool = false) -> HTTP2Frame {
    HTTP2Frame(4, flags: isAck ? 1 : 0, entries.flatMap { number($0.0, 2) + number($0.1, 4) })
  }

  package static func ping(isAck: Bool = false) -> HTTP2Frame {
    HTTP2Frame(6, flags: isAck ? 1 : 0, [UInt8](repeating: 7, count: 8))
  }

  package static func goAway() -> HTTP2Frame { HTTP2Frame(7, [UInt8](repeating: 0, count: 8)) }

  package static func window(_ stream: Int, _ increment: Int) -> HTTP2Frame {
    HTTP2Frame(8, stream: stream, number(increment, 4))
  }

  package static func priority(_ stream: Int, on other: Int = 0) -> HTTP2Frame {
    HTTP2Frame(2, stream: stream, number(other, 4) + [0])
  }

  package static func continuation(_ stream: Int, _ block: [UInt8] = [], endsBlock: Bool = false) -> HTTP2Frame {
    HTTP2Frame(9, flags: endsBlock ? 4 : 0, stream: stream, block)
  }

  /// Literal fields, never indexed and not compressed (RFC 7541 §6.2.2).
  package static func block(_ fields: [(String, String)]) -> [UInt8] {
    fields.flatMap { [0x00] + string($0.0) + string($0.1) }
  }

  private static func string(_ text: String) -> [UInt8] {
    let bytes = text.unicodeScalars.map { UInt8($0.value) }
    if bytes.count < 127 { return [UInt8(bytes.count)] + bytes }
    var (length, rest) = ([UInt8(127)], bytes.count - 127)
    while rest >= 128 {
      length.append(UInt8(rest & 127 | 128))
      rest >>= 7
    }
    return length + [UInt8(rest)] + bytes
  }

  // MARK: Reading

  /// The first frame of `bytes`, which it is removed from; nil where there is no whole one.
  package static func take(from bytes: inout [UInt8]) -> HTTP2Frame? {
    guard bytes.count >= 9 else { return nil }
    let length = Int(bytes[0]) << 16 | Int(bytes[1]) << 8 | Int(bytes[2])
    guard bytes.count >= 9 + length else { return nil }
    let stream = bytes[5..<9].reduce(0) { $0 << 8 | Int($1) }
    let frame = HTTP2Frame(bytes[3], flags: bytes[4], stream: stream, Array(bytes[9..<9 + length]))
    bytes.removeFirst(9 + length)
    return frame
  }

  package var ends: Bool { type <= 1 && flags & 1 != 0 }

  /// The status of a header block, which comes first.
  package var status: Int? {
    guard type == 1, let first = payload.first else { return nil }
    if 0x88...0x8E ~= first { return [200, 204, 206, 304, 400, 404, 500][Int(first) - 0x88] }
    // Indexed by what came before on this connection, or literal with the static table's name of :status.
    guard first == 0x48 || first == 0x08, payload.count > 1 else { return nil }
    let value = payload[2..<min(payload.count, 2 + Int(payload[1] & 127))]
    if payload[1] & 128 == 0 { return Int(String(decoding: value, as: UTF8.self)) }
    return Self.digits(value)
  }

  /// Three digits in Huffman's code of RFC 7541 B: 0, 1 and 2 have five bits, the others six.
  private static func digits(_ bytes: ArraySlice<UInt8>) -> Int {
    let bits = bytes.flatMap { byte in (0..<8).reversed().map { Int(byte >> $0) & 1 } }
    var (position, value) = (0, 0)
    for _ in 0..<3 {
      let five = bits[position..<position + 5].reduce(0) { $0 << 1 | $1 }
      position += 5
      if five < 3 {
        value = value * 10 + five
      } else {
        value = value * 10 + (five << 1 | bits[position]) - 0x19 + 3
        position += 1
      }
    }
    return value
  }

  /// An error code, of RST_STREAM and GOAWAY.
  package var code: String? {
    let start = type == 3 ? 0 : type == 7 ? 4 : -1
    guard start >= 0, payload.count >= start + 4 else { return nil }
    let code = payload[start..<start + 4].reduce(0) { $0 << 8 | Int($1) }
    let names = [
      "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
      "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
      "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
    ]
    return code < names.count ? names[code] : "\(code)"
  }

  /// The last stream that GOAWAY says is dealt with.
  package var lastStream: Int? { type == 7 ? payload.prefix(4).reduce(0) { $0 << 8 | Int($1) } & 0x7FFF_FFFF : nil }
}
