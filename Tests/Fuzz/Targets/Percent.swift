import Basics

@testable import HTTPServer
@testable import OAuth

extension FuzzTarget {
  /// Percent-encoded text, and any bytes on their way through encoding and back.
  static let percent = FuzzTarget(name: "percent") { bytes in
    var decoded: [UInt8] = []
    let isWhole = PercentDecoder.decode(bytes.span, 0..<bytes.count, into: &decoded)
    let expected = escapes(in: bytes)
    try promise("an escape is two hex digits", isWhole == (expected != nil))
    if let expected { try promise("\(decoded) is \(expected)", decoded == expected) }
    // Only a part of what there is.
    let padded = [UInt8(ascii: "%")] + bytes + Array("41".utf8)
    var part: [UInt8] = []
    try promise(
      "what lies around it is not looked at",
      PercentDecoder.decode(padded.span, 1..<1 + bytes.count, into: &part) == isWhole && (!isWhole || part == decoded))

    let text = PercentDecoder.text(bytes.span, 0..<bytes.count)
    try promise("a text has the bytes that were decoded", text.map { Array($0.utf8) == decoded } ?? true)

    let encoded = FormEncoding.body([FormParameter("a", Secret(bytes))])
    let form = encoded.withBytes { $0.array(at: 0..<$0.count) }
    if bytes.isEmpty { return try promise("a parameter without a value is left out", form.isEmpty) }
    try promise("it is all unreserved", form.dropFirst(2).allSatisfy { Octet.isName($0) || $0 == UInt8(ascii: "%") })
    var returned: [UInt8] = []
    try promise(
      "what was encoded can be decoded", PercentDecoder.decode(form.span, 2..<form.count, into: &returned))
    try promise("to what it was: \(returned)", returned == bytes)
    let isUTF8 = String(validating: bytes, as: UTF8.self) != nil
    try promise("as a form's too", (PercentDecoder.formText(form.span, 2..<form.count) != nil) == isUTF8)
  }

  /// Another way to read it: by what stands between the percent signs.
  private static func escapes(in bytes: [UInt8]) -> [UInt8]? {
    let parts = bytes.split(separator: UInt8(ascii: "%"), omittingEmptySubsequences: false)
    var decoded = Array(parts[0])
    for part in parts.dropFirst() {
      let digits = part.prefix(2)
      guard digits.count == 2, digits.allSatisfy({ Character(UnicodeScalar($0)).isHexDigit && $0 < 128 }),
        let byte = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
      else { return nil }
      decoded += [byte] + part.dropFirst(2)
    }
    return decoded
  }
}
