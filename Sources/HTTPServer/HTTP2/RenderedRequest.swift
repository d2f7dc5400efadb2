import IO

/// An HTTP/2 request in the bytes of HTTP/1.1, so that one parser, one set of rules and one kind of ranges serve both.
///
/// No byte gets in that could end a line or begin another: what is checked here is what `HeadScanner` checks there.
struct RenderedRequest: ~Copyable {
  private(set) var bytes = ByteBuffer()
  /// The header's length with its closing empty line; nil until `finishHead`.
  private(set) var headLength: Int?
  /// Why the request cannot be taken; nothing more is kept of it then.
  private(set) var rejection: Rejection?
  private var method = 0..<0
  private var authority = 0..<0
  private var path = 0..<0
  /// The request line is written: what is behind it are fields, what is before it are pseudo-header values.
  private var lineStart: Int?
  /// As HPACK counts: name, value and 32 for each field (RFC 9113 §6.5.2). Goes on where nothing is kept.
  private(set) var headBytes = 0

  mutating func removeAll() {
    bytes.removeAll()
    headLength = nil
    rejection = nil
    (method, authority, path) = (0..<0, 0..<0, 0..<0)
    lineStart = nil
    headBytes = 0
  }

  mutating func shrink(to capacity: Int) {
    removeAll()
    if bytes.capacity > capacity { bytes.releaseIfEmpty() }
  }

  /// Refuses the request, unless it has been already.
  mutating func reject(_ reason: Rejection) {
    if rejection != nil { return }
    rejection = reason
    bytes.removeAll()
  }

  /// One field, pseudo-header fields first (RFC 9113 §8.3). What is not kept is counted all the same.
  mutating func append(_ name: Span<UInt8>, _ value: Span<UInt8>, limits: Limits, isKept: Bool = true) {
    headBytes += name.count + value.count + 32
    if rejection != nil || !isKept { return }
    if bytes.count + name.count + value.count > 2 * limits.headBytes { return reject(.headTooLarge) }
    if name.count > 0 && name[0] == UInt8(ascii: ":") {
      appendPseudo(name, value, limits)
    } else {
      if lineStart == nil { writeLine(limits) }
      appendField(name, value, limits)
    }
  }

  private mutating func appendPseudo(_ name: Span<UInt8>, _ value: Span<UInt8>, _ limits: Limits) {
    if lineStart != nil { return reject(.malformed("a pseudo-header field behind a field")) }
    for index in 0..<value.count where !Octet.isVisible(value[index]) {
      return reject(.malformed("a pseudo-header field holds a byte that must be percent-encoded"))
    }
    let range = bytes.count..<bytes.count + value.count
    let whole = 0..<name.count
    if name.equals(":method", at: whole), method.isEmpty {
      for index in 0..<value.count where !Octet.isToken(value[index]) {
        return reject(.malformed("the method is no token"))
      }
      method = range
    } else if name.equals(":path", at: whole), path.isEmpty {
      // The absolute form is not for HTTP/2 (RFC 9113 §8.3.1).
      guard value.count > 0, value[0] == UInt8(ascii: "/") || value.count == 1 && value[0] == UInt8(ascii: "*") else {
        return reject(.malformed("the path does not begin with a slash"))
      }
      if value.count > limits.requestLineBytes { return reject(.targetTooLong) }
      path = range
    } else if name.equals(":authority", at: whole), authority.isEmpty {
      authority = range
    } else if name.equals(":scheme", at: whole) {
      guard value.matches("http", at: 0..<value.count) || value.matches("https", at: 0..<value.count) else {
        return reject(.malformed("the scheme is neither http nor https"))
      }
      return
    } else {
      return reject(.malformed("a pseudo-header field that is unknown or there twice"))
    }
    bytes.append(value)
  }

  private mutating func writeLine(_ limits: Limits) {
    guard !method.isEmpty, !path.isEmpty else { return reject(.malformed("no method or no path")) }
    let start = bytes.count
    lineStart = start
    bytes.append(copyOf: method)
    bytes.append(UInt8(ascii: " "))
    bytes.append(copyOf: path)
    bytes.append(" HTTP/1.1\r\n")
    if bytes.count - start > limits.requestLineBytes { return reject(.targetTooLong) }
    if authority.isEmpty { return }
    bytes.append("host: ")
    bytes.append(copyOf: authority)
    bytes.append("\r\n")
  }

  private mutating func appendField(_ name: Span<UInt8>, _ value: Span<UInt8>, _ limits: Limits) {
    guard rejection == nil, let lineStart else { return }
    guard name.count > 0 else { return reject(.malformed("a field without a name")) }
    for index in 0..<name.count where !Octet.isToken(name[index]) || name[index] &- 0x41 < 26 {
      return reject(.malformed("a field name is no lower-case token"))
    }
    for index in 0..<value.count where !Octet.isFieldValue(value[index]) {
      return reject(.malformed("a control byte in the header"))
    }
    // Beside :authority, Host may only say the same (RFC 9113 §8.3.1).
    if name.equals("host", at: 0..<name.count), !authority.isEmpty {
      let isSame = bytes.withBytes { held in
        if authority.count != value.count { return false }
        for index in 0..<value.count where held[authority.lowerBound + index] != value[index] { return false }
        return true
      }
      return isSame ? () : reject(.malformed("Host differs from :authority"))
    }
    bytes.append(name)
    bytes.append(": ")
    bytes.append(value)
    bytes.append("\r\n")
    if bytes.count - lineStart > limits.headBytes { reject(.headTooLarge) }
  }

  mutating func finishHead(_ limits: Limits) {
    if rejection == nil && lineStart == nil { writeLine(limits) }
    guard rejection == nil, let lineStart else { return }
    bytes.append("\r\n")
    bytes.consume(lineStart)
    headLength = bytes.count
    if bytes.count > limits.headBytes { reject(.headTooLarge) }
  }

  mutating func append(body: Span<UInt8>, limits: Limits) {
    guard rejection == nil, let headLength else { return }
    if bytes.count - headLength + body.count > limits.bodyBytes { return reject(.bodyTooLarge) }
    bytes.append(body)
  }
}
