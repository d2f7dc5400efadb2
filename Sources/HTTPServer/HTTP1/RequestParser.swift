import Basics

/// Parses one whole header that `HeadScanner` has delimited: RFC 9112 §3 and §5, and RFC 9110 §5, read strictly.
struct RequestParser: ~Copyable {
  /// The last header parsed.
  private(set) var head = RequestHead()
  private var hosts = 0
  private var lengths = 0
  private var codings = 0
  private var closes = false

  mutating func place(body: Range<Int>) { head.body = body }

  /// `bytes` begins with the header; `end` is behind its closing empty line.
  mutating func parse(_ bytes: Span<UInt8>, end: Int, limits: Limits) throws(Rejection) {
    head.reset()
    (hosts, lengths, codings, closes) = (0, 0, 0, false)
    var line = try parseRequestLine(bytes, end: end)
    while line < end - 2 {
      if head.fields.count == limits.fields { throw .headTooLarge }
      line = try parseField(bytes, from: line)
    }
    try settle()
  }

  /// Returns where the next line starts.
  private mutating func parseRequestLine(_ bytes: Span<UInt8>, end: Int) throws(Rejection) -> Int {
    var position = 0
    while Octet.isToken(bytes[position]) { position += 1 }
    guard position > 0, bytes[position] == Octet.space else {
      throw .malformed("the request line does not start with a method and one space")
    }
    head.method = method(bytes, 0..<position)

    let target = position + 1
    if bytes.equals("PROXY", at: 0..<position), bytes[target] != UInt8(ascii: "/") { throw .unexpectedProxyHeader }
    let pathEnd = bytes.endOfPath(from: target)
    position = pathEnd
    if bytes[position] == UInt8(ascii: "?") {
      while Octet.isVisible(bytes[position]), bytes[position] != UInt8(ascii: "#") { position += 1 }
    }
    if bytes[position] == UInt8(ascii: "#") { throw .malformed("a fragment in the request target") }
    guard position > target, bytes[position] == Octet.space else {
      throw .malformed("the request target is empty or holds a byte that must be percent-encoded")
    }
    if position > pathEnd { head.query = pathEnd + 1..<position }
    head.path = try path(bytes, target..<pathEnd)

    let version = position + 1..<position + 9
    guard version.upperBound < end, bytes[version.upperBound] == Octet.carriageReturn,
      bytes.equals("HTTP/", at: version.prefix(5)), Octet.isDigit(bytes[version.lowerBound + 5]),
      bytes[version.lowerBound + 6] == UInt8(ascii: "."), Octet.isDigit(bytes[version.lowerBound + 7])
    else { throw .malformed("the request line does not end with one space and HTTP/1.1") }
    guard bytes[version.lowerBound + 5] == UInt8(ascii: "1"), bytes[version.lowerBound + 7] <= UInt8(ascii: "1") else {
      throw .unknownVersion
    }
    head.minorVersion = Int(bytes[version.lowerBound + 7] - UInt8(ascii: "0"))
    head.keepAlive = head.minorVersion == 1
    return version.upperBound + 2
  }

  private func method(_ bytes: Span<UInt8>, _ range: Range<Int>) -> RequestHead.Method {
    if bytes.equals("GET", at: range) { return .get }
    if bytes.equals("HEAD", at: range) { return .head }
    if bytes.equals("POST", at: range) { return .post }
    if bytes.equals("PUT", at: range) { return .put }
    if bytes.equals("DELETE", at: range) { return .delete }
    if bytes.equals("OPTIONS", at: range) { return .options }
    return .other
  }

  /// Origin-form as it is; absolute-form without scheme and authority, which is noted; `*` for OPTIONS only
  /// (RFC 9112 §3.2).
  private mutating func path(_ bytes: Span<UInt8>, _ target: Range<Int>) throws(Rejection) -> Range<Int> {
    if bytes[target.lowerBound] == UInt8(ascii: "/") { return target }
    if head.method == .options, bytes.equals("*", at: target) { return target }
    for scheme: StaticString in ["http://", "https://"] {
      let authority = target.lowerBound + scheme.utf8CodeUnitCount
      guard authority < target.upperBound, bytes.matches(scheme, at: target.lowerBound..<authority) else { continue }
      let start = (authority..<target.upperBound).first { bytes[$0] == UInt8(ascii: "/") } ?? target.upperBound
      guard isHost(bytes, authority..<start) else { throw .malformed("the authority of the request target is invalid") }
      head.authority = authority..<start
      return start..<target.upperBound
    }
    throw .malformed("the request target is neither a path nor an http URL")
  }

  private mutating func parseField(_ bytes: Span<UInt8>, from start: Int) throws(Rejection) -> Int {
    var position = start
    while Octet.isToken(bytes[position]) { position += 1 }
    guard position > start, bytes[position] == UInt8(ascii: ":") else {
      throw .malformed("a header line is not a field name, directly followed by a colon")
    }
    let name = start..<position
    position += 1
    while Octet.isSpace(bytes[position]) { position += 1 }
    let value = position
    position = bytes.position(of: Octet.carriageReturn, from: value)
    let lineEnd = position
    while position > value, Octet.isSpace(bytes[position - 1]) { position -= 1 }
    let field = RequestHead.Field(name: name, value: value..<position)
    head.append(field)
    try interpret(field, bytes)
    return lineEnd + 2
  }

  /// The fields that decide framing and persistence.
  private mutating func interpret(_ field: RequestHead.Field, _ bytes: Span<UInt8>) throws(Rejection) {
    switch field.name.count {
    case 4 where bytes.matches("host", at: field.name):
      hosts += 1
      guard isHost(bytes, field.value) else { throw .malformed("the Host field is empty or no host") }
    case 6 where bytes.matches("expect", at: field.name):
      guard bytes.matches("100-continue", at: field.value) else { throw .unknownExpectation }
      head.expectsContinue = head.minorVersion == 1
    case 10 where bytes.matches("connection", at: field.name): interpretConnection(field.value, bytes)
    case 14 where bytes.matches("content-length", at: field.name):
      lengths += 1
      head.framing = .length(try length(bytes, field.value))
    case 17 where bytes.matches("transfer-encoding", at: field.name):
      codings += 1
      guard bytes.matches("chunked", at: field.value) else { throw .unknownCoding }
    default: break
    }
  }

  /// `uri-host [":" port]` (RFC 9110 §7.2): a name or an address, or an address in brackets.
  private func isHost(_ bytes: Span<UInt8>, _ value: Range<Int>) -> Bool {
    var end = value.lowerBound
    if !value.isEmpty, bytes[end] == UInt8(ascii: "[") {
      end += 1
      while end < value.upperBound,
        Hex.value(bytes[end]) != nil || bytes[end] == UInt8(ascii: ":") || bytes[end] == UInt8(ascii: ".")
      {
        end += 1
      }
      guard end < value.upperBound, bytes[end] == UInt8(ascii: "]") else { return false }
      end += 1
    } else {
      while end < value.upperBound, Octet.isName(bytes[end]) { end += 1 }
    }
    guard end > value.lowerBound else { return false }
    if end == value.upperBound { return true }
    return bytes[end] == UInt8(ascii: ":") && (end + 1..<value.upperBound).allSatisfy { Octet.isDigit(bytes[$0]) }
  }

  private mutating func interpretConnection(_ value: Range<Int>, _ bytes: Span<UInt8>) {
    var start = value.lowerBound
    while start < value.upperBound {
      let end = (start..<value.upperBound).first { bytes[$0] == UInt8(ascii: ",") } ?? value.upperBound
      var option = start..<end
      while let first = option.first, Octet.isSpace(bytes[first]) { option.removeFirst() }
      while let last = option.last, Octet.isSpace(bytes[last]) { option.removeLast() }
      if bytes.matches("close", at: option) { closes = true }
      if bytes.matches("keep-alive", at: option) { head.keepAlive = true }
      start = end + 1
    }
  }

  /// Digits only: no sign, list, hex or space (RFC 9112 §6.2), and no more of them than fit.
  private func length(_ bytes: Span<UInt8>, _ value: Range<Int>) throws(Rejection) -> Int {
    guard !value.isEmpty, value.count <= 18, value.allSatisfy({ Octet.isDigit(bytes[$0]) }) else {
      throw .malformed("the Content-Length is no plain number")
    }
    return value.reduce(0) { $0 * 10 + Int(bytes[$1] - UInt8(ascii: "0")) }
  }

  /// What only the whole header tells: RFC 9112 §3.2 on Host, §6.3 on framing.
  private mutating func settle() throws(Rejection) {
    // `close` beside `keep-alive` is close, whichever comes first.
    if closes { head.keepAlive = false }
    if hosts > 1 || hosts == 0 && head.minorVersion == 1 { throw .malformed("there is not exactly one Host field") }
    if lengths > 1 { throw .malformed("more than one Content-Length") }
    if codings == 0 { return }
    if lengths > 0 { throw .malformed("both Content-Length and Transfer-Encoding") }
    if codings > 1 { throw .malformed("more than one Transfer-Encoding") }
    if head.minorVersion == 0 { throw .malformed("Transfer-Encoding in HTTP/1.0") }
    head.framing = .chunked
  }
}

extension Range<Int> {
  fileprivate mutating func removeFirst() { self = lowerBound + 1..<upperBound }
  fileprivate mutating func removeLast() { self = lowerBound..<upperBound - 1 }
}
