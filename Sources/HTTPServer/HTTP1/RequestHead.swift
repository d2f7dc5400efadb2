/// A request's line and header fields, as ranges into the bytes they were parsed from.
package struct RequestHead: ~Copyable {
  package enum Method: Sendable {
    case get, head, post, put, delete, options, other
  }

  /// How the length of the body is told (RFC 9112 §6).
  enum Framing: Equatable {
    case length(Int)
    case chunked
  }

  struct Field {
    var name: Range<Int>
    var value: Range<Int>
  }

  var method = Method.other
  var path = 0..<0
  var query: Range<Int>?
  /// Host and port of an absolute-form target.
  var authority: Range<Int>?
  var body = 0..<0
  /// 0 or 1, of HTTP/1.
  var minorVersion = 1
  private(set) var fields: [Field] = []
  /// Which lengths names of fields have: a bit each, the last for 63 and more. Most that is looked for is not there.
  private var nameLengths: UInt64 = 0
  var framing = Framing.length(0)
  var keepAlive = true
  var expectsContinue = false

  init() {
    // The limit on fields is small, so one allocation serves every request.
    fields.reserveCapacity(128)
  }

  mutating func reset() {
    method = .other
    query = nil
    authority = nil
    body = 0..<0
    minorVersion = 1
    fields.removeAll(keepingCapacity: true)
    nameLengths = 0
    framing = .length(0)
    keepAlive = true
    expectsContinue = false
  }

  mutating func append(_ field: Field) {
    fields.append(field)
    nameLengths |= Self.bit(field.name.count)
  }

  /// The value of the first field called `name` (lower case) in `bytes`, which the header is in.
  func value(of name: StaticString, in bytes: Span<UInt8>) -> Range<Int>? {
    if nameLengths & Self.bit(name.utf8CodeUnitCount) == 0 { return nil }
    for field in fields where bytes.matches(name, at: field.name) { return field.value }
    return nil
  }

  private static func bit(_ length: Int) -> UInt64 { 1 << UInt64(min(length, 63)) }
}

extension Span<UInt8> {
  /// ASCII case is ignored; `expected` is lower case.
  package func matches(_ expected: StaticString, at range: Range<Int>) -> Bool {
    guard range.count == expected.utf8CodeUnitCount else { return false }
    for offset in 0..<range.count {
      let byte = self[range.lowerBound + offset]
      let lower = byte &- 0x41 < 26 ? byte | 0x20 : byte
      if unsafe lower != expected.utf8Start[offset] { return false }
    }
    return true
  }

  /// Exactly these bytes, case and all.
  package func equals(_ expected: StaticString, at range: Range<Int>) -> Bool {
    guard range.count == expected.utf8CodeUnitCount else { return false }
    for offset in 0..<range.count where unsafe self[range.lowerBound + offset] != expected.utf8Start[offset] {
      return false
    }
    return true
  }

  package func array(at range: Range<Int>) -> [UInt8] { range.map { self[$0] } }

  package func text(at range: Range<Int>) -> String { String(decoding: array(at: range), as: UTF8.self) }
}
