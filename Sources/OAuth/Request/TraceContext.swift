import Basics

/// Where a request belongs in a distributed trace (W3C Trace Context, §3.2).
///
/// `tracestate` is neither read nor passed on: what tracing systems note in it is more than a tenant needs to know.
package struct TraceContext: Sendable, Equatable {
  /// 32 hexadecimal digits, in lower case.
  package let traceID: String
  /// 16 hexadecimal digits: the span of whoever sends the request.
  package private(set) var spanID: String
  private let flags: UInt8

  /// The flags that are defined: sampled, and that the trace's id is random. Others are not passed on.
  private static let knownFlags: UInt8 = 0b11

  /// Reads a `traceparent` field; nil for one that is malformed, which counts as none. Where its version is not known
  /// yet, what version 00 has is read, as §4.3 demands.
  package init?(traceparent text: some StringProtocol) {
    let bytes = Array(text.utf8)
    guard bytes.count >= 55, bytes[2] == Self.dash, bytes[35] == Self.dash, bytes[52] == Self.dash,
      let version = Self.byte(bytes[0..<2]), version != 0xFF,
      bytes.count == 55 || version > 0 && bytes[55] == Self.dash,
      Self.isIdentifier(bytes[3..<35]), Self.isIdentifier(bytes[36..<52]), let flags = Self.byte(bytes[53..<55])
    else { return nil }
    traceID = String(decoding: bytes[3..<35], as: UTF8.self)
    spanID = String(decoding: bytes[36..<52], as: UTF8.self)
    self.flags = flags & Self.knownFlags
  }

  /// The same trace, in a span of its own: for a request that is sent because of this one.
  package func child() -> TraceContext {
    var child = self
    child.spanID = Hex.text(UInt64.random(in: 1 ... .max))
    return child
  }

  /// As a `traceparent` field, in version 00.
  package var traceparent: String { "00-\(traceID)-\(spanID)-0\(flags)" }

  private static let dash = UInt8(ascii: "-")

  private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte) }

  /// What two digits stand for; nil if one of them is none.
  private static func byte(_ digits: ArraySlice<UInt8>) -> UInt8? {
    digits.allSatisfy(isDigit) ? Hex.bytes(String(decoding: digits, as: UTF8.self))?.first : nil
  }

  /// Only digits, and not all of them zero.
  private static func isIdentifier(_ bytes: ArraySlice<UInt8>) -> Bool {
    bytes.allSatisfy(isDigit) && !bytes.allSatisfy { $0 == UInt8(ascii: "0") }
  }
}
