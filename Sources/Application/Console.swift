import Glibc
import Telemetry

/// What the commands say, at once: what a pipe's reader waits for must not sit in a buffer.
package enum Console {
  package static func output(_ text: String) { write(text, to: STDOUT_FILENO) }

  /// A line on standard error, for people.
  package static func complain(_ line: String) { write("token-broker: \(line)\n", to: STDERR_FILENO) }

  /// Returns when the log lines so far are written, or soon if nobody reads them.
  package static func flushLog() { LogOutput.standardError.flush() }

  private static func write(_ text: String, to descriptor: Int32) {
    let bytes = Array(text.utf8)
    unsafe bytes.withUnsafeBytes { unsafe _ = Glibc.write(descriptor, $0.baseAddress, $0.count) }
  }
}
