/// Finds where a request's header ends, looking at each byte once however the bytes are split over reads.
///
/// Refuses what no header may hold (bare CR or LF, control bytes) and what is over a limit as soon as it is seen,
/// by position alone, so that the verdict does not depend on the split.
struct HeadScanner {
  private var position = 0
  private var lineStart = 0
  private var inRequestLine = true

  /// The length of the header with its closing empty line; nil while more is needed.
  mutating func scan(_ bytes: Span<UInt8>, limits: Limits) throws(Rejection) -> Int? {
    while position < bytes.count {
      skipPlain(bytes, limits)
      if position == bytes.count { break }
      let byte = bytes[position]
      if position >= limits.headBytes { throw .headTooLarge }
      if byte == Octet.lineFeed {
        guard position > lineStart, bytes[position - 1] == Octet.carriageReturn else {
          throw .malformed("a line ends without CR LF")
        }
        if position == lineStart + 1 {
          // Nothing at all so far. Version 2 of the PROXY protocol begins with two such lines.
          if inRequestLine { throw .unexpectedProxyHeader }
          return position + 1
        }
        inRequestLine = false
        lineStart = position + 1
      } else {
        if position > lineStart, bytes[position - 1] == Octet.carriageReturn { throw .malformed("a CR without LF") }
        if byte != Octet.carriageReturn {
          if inRequestLine && position >= limits.requestLineBytes { throw .targetTooLong }
          guard Octet.isFieldValue(byte) else { throw .malformed("a control byte in the header") }
        }
      }
      position += 1
    }
    return nil
  }

  /// Steps over visible ASCII and spaces, eight at a time, to the first other byte or to what is beyond a limit; over
  /// nothing behind a CR.
  private mutating func skipPlain(_ bytes: Span<UInt8>, _ limits: Limits) {
    if position > lineStart, bytes[position - 1] == Octet.carriageReturn { return }
    let end = min(bytes.count, inRequestLine ? limits.requestLineBytes : limits.headBytes)
    var next = position
    while next + EightBytes.count <= end {
      if let other = EightBytes(bytes, at: next).firstNotVisible(orSpace: true) {
        position = next + other
        return
      }
      next += EightBytes.count
    }
    position = next
  }
}
