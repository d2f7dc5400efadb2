import Basics
import IO
import Logging
package import Settings
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

  /// What to say of a command that there is not.
  package static func unknownCommand(_ word: String, among names: [String]) -> String {
    let near = EditDistance.nearest(to: word.lowercased(), among: names) { max(1, $0.utf8.count / 3) }
    let advice = near.map { "did you mean '\($0)'?" } ?? "token-broker --help lists them"
    return "no such command: '\(word.prefix(40))'; \(advice)"
  }

  /// Says why there is no broker, or none any more: for a person at a terminal as commands do, and else in lines of the
  /// log, because whoever gathers those reads nothing else. `message` is what the reasons have in common.
  package static func fail(_ message: String, _ reasons: [String], from origin: Configuration.Origin) {
    let format = Configuration.logFormat(from: origin)
    if origin.isTerminal, format == .text { return reasons.forEach(complain) }
    let log = makeLogger(LogControl(LogSettings(format: format)))
    for reason in reasons { log.critical("\(message)", metadata: ["reason": "\(reason)"]) }
    flushLog()
  }

  /// Returns when the log lines so far are written, or soon if nobody reads them.
  package static func flushLog() { LogOutput.standardError.flush() }
}
