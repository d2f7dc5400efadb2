import Basics

/// Percent-decoding, once and without normalising anything (RFC 3986 §2.1). A plus stays a plus.
package enum PercentDecoder {
  /// Puts the decoded bytes into `output`, in place of what it held. False if an escape is malformed.
  package static func decode(_ bytes: Span<UInt8>, _ range: Range<Int>, into output: inout [UInt8]) -> Bool {
    output.removeAll(keepingCapacity: true)
    var isWellFormed = true
    output.append(addingCapacity: range.count) { decoded in
      var index = range.lowerBound
      while index < range.upperBound {
        var byte = bytes[index]
        if byte == UInt8(ascii: "%") {
          guard index + 2 < range.upperBound, let high = Hex.value(bytes[index + 1]),
            let low = Hex.value(bytes[index + 2])
          else {
            isWellFormed = false
            return
          }
          byte = high << 4 | low
          index += 2
        }
        decoded.append(byte)
        index += 1
      }
    }
    return isWellFormed
  }

  /// The decoded text; nil if an escape is malformed or the bytes are no UTF-8.
  package static func text(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String? {
    var decoded: [UInt8] = []
    guard decode(bytes, range, into: &decoded) else { return nil }
    return String(validating: decoded, as: UTF8.self)
  }

  /// The decoded text of a name or value in a form or a query, where a plus is a space.
  package static func formText(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String? {
    let spaced = range.map { bytes[$0] == UInt8(ascii: "+") ? UInt8(ascii: " ") : bytes[$0] }
    return text(spaced.span, 0..<spaced.count)
  }
}
