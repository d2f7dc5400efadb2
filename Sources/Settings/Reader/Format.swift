/// How a setting is written, and how what was written is shown.
struct Format<Value> {
  /// Secrets are shown as `<redacted>`, and what is wrong with them is said without them.
  var isSecret = false
  /// It is the path of a file that only the broker should be able to read.
  var namesSecretFile = false
  /// In a file it must stand without quotes, as numbers do.
  var isPlain = false
  var show: (Value) -> String = { "\($0)" }
  let read: (String) throws(Unexpected) -> Value
}

/// What was expected of a setting instead.
struct Unexpected: Error {
  let expectation: String

  init(_ expectation: String) { self.expectation = expectation }
}

extension Format {
  /// What `read` makes of a text. Where that is nil, the error says what was expected, and if it is no secret what was
  /// found.
  init(
    _ expectation: String, isSecret: Bool = false, isPlain: Bool = false,
    show: @escaping (Value) -> String = { "\($0)" }, read: @escaping (String) -> Value?
  ) {
    self.init(isSecret: isSecret, isPlain: isPlain, show: show) { text throws(Unexpected) in
      if let value = read(text) { return value }
      let found = isSecret ? "" : "; found '\(String(text.unicodeScalars.prefix(60)).inOneLine)'"
      throw Unexpected("expected \(expectation)\(found)")
    }
  }
}

extension String {
  /// With `?` in place of control characters.
  var inOneLine: String {
    String(unicodeScalars.map { $0.properties.generalCategory == .control ? "?" : Character($0) })
  }
}

extension Format where Value == String {
  /// A text of at most `limit` bytes.
  static func text(_ expectation: String, limit: Int = 1 << 16) -> Format {
    Format { text throws(Unexpected) in
      if text.isEmpty { throw Unexpected("expected \(expectation); it is empty") }
      if text.utf8.count > limit { throw Unexpected("expected \(expectation); it has \(text.utf8.count) bytes") }
      if UnexpandedVariable.isOne(text.utf8.span) {
        throw Unexpected("expected \(expectation); \(UnexpandedVariable.words)")
      }
      guard !text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
        throw Unexpected("expected \(expectation), without control characters")
      }
      return text
    }
  }

  /// A text that may be a secret.
  static func hidden(_ expectation: String) -> Format {
    var format = text(expectation)
    format.isSecret = true
    return format
  }

  static var path: Format { text("the path of a file") }
}

extension Format where Value == Int {
  static func number(_ range: ClosedRange<Int>) -> Format {
    Format("a number from \(range.lowerBound) to \(range.upperBound)", isPlain: true) { text in
      guard text.utf8.allSatisfy({ 0x30...0x39 ~= $0 }), let number = Int(text) else { return nil }
      return range.contains(number) ? number : nil
    }
  }

  private static var units: [(name: String, bytes: Int)] { [("KiB", 1 << 10), ("MiB", 1 << 20), ("B", 1)] }

  /// Bytes: a number, or one with a unit.
  static func size(_ range: ClosedRange<Int>) -> Format {
    let expectation = "a size from \(range.lowerBound) to \(range.upperBound) bytes, such as 16KiB"
    return Format(expectation, show: { "\($0)B" }) { text in
      let unit = units.first { text.hasSuffix($0.name) }
      let digits = text.dropLast(unit?.name.count ?? 0)
      guard let count = Int(digits), count >= 0, digits.first != "+",
        case let (bytes, false) = count.multipliedReportingOverflow(by: unit?.bytes ?? 1), range.contains(bytes)
      else { return nil }
      return bytes
    }
  }
}

extension Format where Value == Duration {
  private static var units: [(name: String, duration: Duration)] {
    [("ms", .milliseconds(1)), ("s", .seconds(1)), ("m", .seconds(60)), ("h", .seconds(3600)), ("d", .seconds(86400))]
  }

  /// A whole number with a unit.
  static func duration(_ range: ClosedRange<Duration>) -> Format {
    let expectation = "a duration from \(words(range.lowerBound)) to \(words(range.upperBound)), such as 30s, 5m or 1h"
    return Format(expectation, show: words) { text in
      let digits = text.prefix { ("0"..."9").contains($0) }
      guard let unit = units.first(where: { $0.name == text.dropFirst(digits.count) }), let count = Int32(digits) else {
        return nil
      }
      return range.contains(unit.duration * count) ? unit.duration * count : nil
    }
  }

  /// In the largest unit that needs no fraction.
  static func words(_ duration: Duration) -> String {
    if duration == .zero { return "0s" }
    let unit = units.last { duration == $0.duration * (duration / $0.duration).rounded() } ?? units[0]
    return "\(Int((duration / unit.duration).rounded()))\(unit.name)"
  }
}

extension Format where Value == Bool {
  static var flag: Format { Format("true or false", isPlain: true) { Bool($0) } }
}

extension Format where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
  /// One of the type's words, in any case.
  static var word: Format {
    Format("one of \(Value.allCases.map(\.rawValue).joined(separator: ", "))", show: \.rawValue) { text in
      Value(rawValue: text.lowercased())
    }
  }
}
