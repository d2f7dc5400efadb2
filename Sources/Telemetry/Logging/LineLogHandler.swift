import Basics
package import Logging

/// Writes each log event as one line: a JSON object, or text for a terminal.
struct LineLogHandler: LogHandler {
  var metadata: Logger.Metadata = [:]
  private let control: LogControl
  private let output: LogOutput

  init(_ control: LogControl, _ output: LogOutput = .standardError) {
    self.control = control
    self.output = output
  }

  var logLevel: Logger.Level {
    get { control.settings.level }
    set {
      var settings = control.settings
      settings.level = newValue
      control.apply(settings)
    }
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let facts = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
      .map { (name: $0.key, value: "\($0.value)") }
    output.add(control.settings.format, level: event.level, "\(event.message)", facts)
  }
}

package func makeLogger(_ control: LogControl) -> Logger {
  Logger(label: "token-broker") { _ in LineLogHandler(control) }
}

/// The shape of a log line.
enum LogLine {
  static func append(
    to line: inout [UInt8], _ timestamp: inout Timestamp, _ format: LogSettings.Format, level: Logger.Level,
    _ message: String, _ facts: [(name: String, value: String)]
  ) {
    assert(facts.allSatisfy { LogField(rawValue: $0.name) != nil }, "\(message): a field is not listed: \(facts)")
    switch format {
    case .json:
      line.append(contentsOf: "{\"time\":\"".utf8)
      timestamp.append(to: &line)
      line.append(contentsOf: "\",\"level\":\"".utf8)
      line.append(contentsOf: level.rawValue.utf8)
      line.append(contentsOf: "\",\"message\":".utf8)
      JSONText.append(message, to: &line)
      for (name, value) in facts {
        line.append(UInt8(ascii: ","))
        JSONText.append(name, to: &line)
        line.append(UInt8(ascii: ":"))
        append(value, of: name, to: &line)
      }
      line.append(UInt8(ascii: "}"))
    case .text:
      timestamp.append(to: &line)
      line.append(contentsOf: " \(level.rawValue) \(message)".utf8)
      for (name, value) in facts {
        line.append(contentsOf: " \(name)=".utf8)
        // Quoted as JSON strings, so that no value can pass for another line.
        append(value, of: name, to: &line)
      }
    }
    line.append(0x0A)
  }

  /// A number as it is, and any other value as a JSON string.
  private static func append(_ value: String, of name: String, to line: inout [UInt8]) {
    let isNumber = isWholeNumber(value) && LogField.numbers.contains(name)
    assert(isNumber || !LogField.numbers.contains(name), "\(name) is to be a number: \(value)")
    if isNumber { line.append(contentsOf: value.utf8) } else { JSONText.append(value, to: &line) }
  }

  /// As JSON has it: without a zero in front (RFC 8259 §6).
  private static func isWholeNumber(_ text: String) -> Bool {
    let digits = text.utf8.first == UInt8(ascii: "-") ? text.utf8.dropFirst() : text.utf8[...]
    guard let first = digits.first, digits.count <= 15 else { return false }
    return digits.allSatisfy { 0x30...0x39 ~= $0 } && (first != 0x30 || digits.count == 1)
  }
}
