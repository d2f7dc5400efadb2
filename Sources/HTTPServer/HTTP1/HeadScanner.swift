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

  /// Steps over eight bytes at a time while none of them is a control byte or beyond a limit, and none follows a CR.
  private mutating func skipPlain(_ bytes: Span<UInt8>, _ limits: Limits) {
    if position > lineStart, bytes[position - 1] == Octet.carriageReturn { return }
    let end = min(bytes.count, inRequestLine ? limits.requestLineBytes : limits.headBytes)
    while position + 8 <= end {
      let word = unsafe bytes.bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self)
      guard Self.isPlain(word) else { return }
      position += 8
    }
  }

  /// Whether all eight bytes are visible ASCII or spaces.
  private static func isPlain(_ word: UInt64) -> Bool {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let tops = ones << 7
    // With every top bit clear, a sum reaches the top bit of its byte for 0x20 and above, and for 0x7f, without carry.
    let isVisible = word &+ ones &* 0x60
    let isDelete = word &+ ones
    return word & tops == 0 && isVisible & tops == tops && isDelete & tops == 0
  }
}
