/// What an audience may be: an opaque text that is matched byte for byte.
package enum Audience {
  package static let maxBytes = 2048

  /// What is wrong with `audience`, in words for a person; nil if nothing is.
  package static func problem(with audience: String) -> String? {
    if audience.isEmpty { return "the audience is empty" }
    if audience.utf8.count > maxBytes { return "the audience is over \(maxBytes) bytes" }
    if audience.unicodeScalars.contains(where: isControl) { return "the audience holds a control character" }
    return nil
  }

  /// Unicode's category Cc (Unicode 16, §23.1), which no version of it adds to.
  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    scalar.value < 0x20 || 0x7F..<0xA0 ~= scalar.value
  }

  /// Whether `audience` begins as a URL (RFC 3986 §3.1) with one slash where there are two: what proxies that merge
  /// slashes make of `https://api.example.com/`.
  package static func hasMergedSlashes(_ audience: String) -> Bool {
    let bytes = audience.utf8
    guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), let first = bytes.first, isLetter(first),
      bytes[..<colon].allSatisfy({ isLetter($0) || (0x30...0x39).contains($0) || "+-.".utf8.contains($0) })
    else { return false }
    let rest = bytes[colon...].dropFirst()
    guard rest.count > 1, rest.first == UInt8(ascii: "/") else { return false }
    return rest.dropFirst().first != UInt8(ascii: "/")
  }

  private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }
}
