import Basics
import Glibc
import IO

/// A `Date` field line (RFC 9110 §6.6.1), rendered once a second.
package struct DateLine: ~Copyable {
  private(set) var bytes: [UInt8] = []
  /// The date itself, as a range of `bytes`.
  var value: Range<Int> { bytes.isEmpty ? 0..<0 : 6..<bytes.count - 2 }
  private var validUntil = Instant(nanoseconds: .min)

  mutating func refresh(now: Instant) {
    if now < validUntil { return }
    validUntil = now.advanced(by: .seconds(1))
    bytes = Self.line(at: time(nil))
  }

  func write(to output: inout ByteBuffer) { output.append(bytes) }

  /// The whole line for a Unix time in seconds.
  package static func line(at seconds: Int) -> [UInt8] { Array("Date: \(UTCDate(seconds).httpDate)\r\n".utf8) }
}
