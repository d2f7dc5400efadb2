import Glibc
import HTTPServer
import Logging

/// Writes each log event as one line on standard error: a JSON object, or text for a terminal.
struct LineLogHandler: LogHandler {
  var metadata: Logger.Metadata = [:]
  var logLevel: Logger.Level
  private let format: LogSettings.Format

  init(_ settings: LogSettings) {
    logLevel = settings.level
    format = settings.format
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let metadata = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
    var line: [UInt8]
    switch format {
    case .json:
      line = JSONText.object(
        [
          ("time", JSONText.string(Timestamp.now())), ("level", JSONText.string(event.level.rawValue)),
          ("message", JSONText.string("\(event.message)")),
        ] + metadata.map { (name: $0.key, value: JSONText.string("\($0.value)")) })
    case .text:
      // Quoted as JSON strings, so that no value can pass for another line.
      let facts = metadata.map { " \($0.key)=" + String(decoding: JSONText.string("\($0.value)"), as: UTF8.self) }
      line = Array("\(Timestamp.now()) \(event.level.rawValue) \(event.message)\(facts.joined())".utf8)
    }
    line.append(0x0A)
    // One write a line: lines of several threads do not mix.
    unsafe line.withUnsafeBytes { unsafe _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}

/// RFC 3339 in UTC, with milliseconds.
enum Timestamp {
  static func now() -> String {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return text(seconds: time.tv_sec, milliseconds: time.tv_nsec / 1_000_000)
  }

  static func text(seconds: Int, milliseconds: Int) -> String {
    var seconds = seconds
    var parts = unsafe tm()
    unsafe gmtime_r(&seconds, &parts)
    let (year, month, day) = unsafe (1900 + parts.tm_year, parts.tm_mon + 1, parts.tm_mday)
    let (hour, minute, second) = unsafe (parts.tm_hour, parts.tm_min, parts.tm_sec)
    return "\(year)-\(padded(month))-\(padded(day))T\(padded(hour)):\(padded(minute)):\(padded(second))"
      + ".\(padded(milliseconds, to: 3))Z"
  }

  private static func padded(_ number: some BinaryInteger, to width: Int = 2) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}
