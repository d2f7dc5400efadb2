import Basics
import Dispatch
import IO
import Logging
import Synchronization

/// Standard error for log lines: whoever logs only appends to memory, and a queue of its own writes. So nobody waits
/// for a slow reader, and lines that come together are written together.
package final class LogOutput: Sendable {
  private struct State {
    var lines: [UInt8] = []
    var isWriterDue = false
    var lost = 0
    /// That of the last line.
    var format = LogSettings.Format.json
    var timestamp = Timestamp()
  }

  package static let standardError = LogOutput(.error)

  private let stream: StandardStream
  private let state = Mutex(State())
  private let queue = DispatchQueue(label: "log")

  /// What may wait for a reader that does not read; then lines are lost, and counted.
  private static let limit = 4 << 20
  /// Between two writes: what is logged meanwhile goes out with the second.
  private static let pause = DispatchTimeInterval.milliseconds(10)

  init(_ stream: StandardStream) { self.stream = stream }

  /// Adds a line with the time of now.
  func add(
    _ format: LogSettings.Format, level: Logger.Level, _ message: String, _ facts: [(name: String, value: String)]
  ) {
    let isFirst = state.withLock { state in
      state.format = format
      if state.lines.count > Self.limit {
        state.lost += 1
      } else {
        LogLine.append(to: &state.lines, &state.timestamp, format, level: level, message, facts)
      }
      defer { state.isWriterDue = true }
      return !state.isWriterDue
    }
    if isFirst { queue.async { [self] in write() } }
  }

  /// Returns when all that was added has been written, or soon, if nobody reads it.
  package func flush() {
    let done = DispatchSemaphore(value: 0)
    queue.async { [self] in
      _ = writeAll()
      done.signal()
    }
    _ = done.wait(timeout: .now() + .seconds(1))
  }

  private func write() {
    if writeAll() {
      queue.asyncAfter(deadline: .now() + Self.pause) { [self] in write() }
    }
  }

  /// False if there was nothing.
  private func writeAll() -> Bool {
    let lines = state.withLock { state in
      if state.lines.isEmpty { state.isWriterDue = false }
      if state.lost > 0 {
        LogLine.append(
          to: &state.lines, &state.timestamp, state.format, level: .warning,
          "log lines were lost: nobody read them in time", [("lines_lost", "\(state.lost)")])
      }
      defer { (state.lines, state.lost) = ([], 0) }
      return state.lines
    }
    stream.write(lines[...])
    return !lines.isEmpty
  }
}

/// RFC 3339 in UTC, with milliseconds. Remembers the second it has last written.
struct Timestamp {
  private var second = -1
  private var text: [UInt8] = []

  /// Appends the present time.
  mutating func append(to line: inout [UInt8]) {
    let (seconds, milliseconds) = Int(WallClock.now * 1000).quotientAndRemainder(dividingBy: 1000)
    if seconds != second {
      second = seconds
      text = Array(UTCDate(seconds).dateAndTime.utf8)
    }
    line += text
    line.append(UInt8(ascii: "."))
    line.append(UInt8(ascii: "0") + UInt8(milliseconds / 100))
    line.append(UInt8(ascii: "0") + UInt8(milliseconds / 10 % 10))
    line.append(UInt8(ascii: "0") + UInt8(milliseconds % 10))
    line.append(UInt8(ascii: "Z"))
  }
}
