import Basics
import Glibc

/// A `Date` field line (RFC 9110 §6.6.1), rendered once a second.
package struct DateLine {
  private(set) var bytes: [UInt8] = []
  /// Of `bytes`: the date itself.
  var value: Range<Int> { bytes.isEmpty ? 0..<0 : 6..<bytes.count - 2 }
  private var validUntil = Instant(nanoseconds: .min)

  mutating func refresh(now: Instant) {
    if now < validUntil { return }
    validUntil = now.advanced(by: .seconds(1))
    bytes = Self.line(at: time(nil))
  }

  /// The whole line for a Unix time in seconds.
  package static func line(at seconds: Int) -> [UInt8] {
    var seconds = seconds
    var parts = unsafe tm()
    unsafe gmtime_r(&seconds, &parts)
    let (weekday, month) = unsafe (Int(parts.tm_wday), Int(parts.tm_mon))
    let numbers = unsafe (parts.tm_mday, 1900 + parts.tm_year, parts.tm_hour, parts.tm_min, parts.tm_sec)
    let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let date = "\(days[weekday]), \(two(numbers.0)) \(months[month]) \(numbers.1)"
    let clock = "\(two(numbers.2)):\(two(numbers.3)):\(two(numbers.4))"
    return Array("Date: \(date) \(clock) GMT\r\n".utf8)
  }
}
