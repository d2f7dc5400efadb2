import IO
import Telemetry

/// What the commands say, at once: what a pipe's reader waits for must not sit in a buffer.
package enum Console {
  /// What follows the program's name on the command line; nil where there is not even a name. Then what was meant is
  /// not known, and a broker that ran on its environment alone might serve whom its configuration would not.
  package static var arguments: [String]? {
    let arguments = ThisProcess.arguments
    return arguments.first.map(\.isEmpty) == false ? Array(arguments.dropFirst()) : nil
  }

  package static func output(_ text: String) { StandardStream.output.write(text) }

  /// A line on standard error, for people.
  package static func complain(_ line: String) { StandardStream.error.write("token-broker: \(line)\n") }

  /// Returns when the log lines so far are written, or soon if nobody reads them.
  package static func flushLog() { LogOutput.standardError.flush() }
}
