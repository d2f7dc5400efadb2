import IO

/// How a setting is written, and how what was written is shown.
struct Format<Value> {
  /// Secrets are shown as `<redacted>`, and what is wrong with them is said without them.
  var isSecret = false
  /// In a file it must stand without quotes, as numbers do.
  var isPlain = false
  var show: (Value) -> String = { "\($0)" }
  let read: (String) throws(Unexpected) -> Value

  /// What was expected instead.
  struct Unexpected: Error {
    let expectation: String

    init(_ expectation: String) { self.expectation = expectation }

    init(_ expectation: String, found text: String) {
      self.expectation = "expected \(expectation); found '\(String(text.unicodeScalars.prefix(60)).inOneLine)'"
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
  static func text(_ expectation: String) -> Format {
    Format { text throws(Unexpected) in
      if text.isEmpty { throw Unexpected("expected \(expectation); it is empty") }
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
    Format(isPlain: true) { text throws(Unexpected) in
      guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text), range.contains(number) else {
        throw Unexpected("a number from \(range.lowerBound) to \(range.upperBound)", found: text)
      }
      return number
    }
  }

  private static var units: [(name: String, bytes: Int)] { [("KiB", 1 << 10), ("MiB", 1 << 20), ("B", 1)] }

  /// Bytes: a number, or one with a unit.
  static func size(_ range: ClosedRange<Int>) -> Format {
    Format(show: { "\($0)B" }) { text throws(Unexpected) in
      let unit = units.first { text.hasSuffix($0.name) }
      let digits = text.dropLast(unit?.name.count ?? 0)
      guard let count = Int(digits), count >= 0, digits.first != "+",
        case let (bytes, false) = count.multipliedReportingOverflow(by: unit?.bytes ?? 1), range.contains(bytes)
      else {
        throw Unexpected("a size from \(range.lowerBound) to \(range.upperBound) bytes, such as 16KiB", found: text)
      }
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
    Format(show: words) { text throws(Unexpected) in
      let digits = text.prefix { ("0"..."9").contains($0) }
      guard let unit = units.first(where: { $0.name == text.dropFirst(digits.count) }), let count = Int32(digits),
        range.contains(unit.duration * count)
      else {
        throw Unexpected(
          "a duration from \(words(range.lowerBound)) to \(words(range.upperBound)), such as 30s, 5m or 1h", found: text
        )
      }
      return unit.duration * count
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
  static var flag: Format {
    Format(isPlain: true) { text throws(Unexpected) in
      guard let flag = Bool(text) else { throw Unexpected("true or false", found: text) }
      return flag
    }
  }
}

extension Format where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
  /// One of the type's words, in any case.
  static var word: Format {
    Format(show: \.rawValue) { text throws(Unexpected) in
      guard let value = Value(rawValue: text.lowercased()) else {
        throw Unexpected("one of \(Value.allCases.map(\.rawValue).joined(separator: ", "))", found: text)
      }
      return value
    }
  }
}
