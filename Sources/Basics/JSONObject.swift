/// A JSON object in UTF-8 (RFC 8259 §4), gone through once. Of its members, those that are asked for are read; in the
/// others only the syntax counts, and not what is in texts.
package struct JSONObject: Sendable {
  package enum Flaw: Error {
    case malformed
    /// A name stands twice at the top level, so that two readers could understand the object differently.
    case repeatedName
  }

  /// A member has another type than was asked for, or is a text or number that stands for none.
  package struct WrongType: Error {
    package init() {}
  }

  private let json: [UInt8]
  /// Where the members' values stand.
  private let values: [String: Range<Int>]

  private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

  /// Reads an object, and nothing else but white space. A byte order mark may stand before it: there are servers that
  /// send one, and RFC 8259 §8.1 allows to pass over it.
  package init(_ json: [UInt8]) throws(Flaw) {
    var scanner = JSONScanner(json, at: json.starts(with: Self.byteOrderMark) ? Self.byteOrderMark.count : 0)
    var values = [String: Range<Int>](minimumCapacity: 12)
    var (areNamesTexts, isAnyRepeated) = (true, false)
    try scanner.skipObject { name, value in
      guard let name = JSONText.text(of: json[name]) else { return areNamesTexts = false }
      if values.updateValue(value, forKey: name) != nil { isAnyRepeated = true }
    }
    guard scanner.peek() == nil, areNamesTexts else { throw .malformed }
    if isAnyRepeated { throw .repeatedName }
    self.json = json
    self.values = values
  }

  /// The members' names, in no order.
  package var names: some Collection<String> { values.keys }

  package func contains(_ name: String) -> Bool { values[name] != nil }

  /// A text; nil where there is none of this name, or null.
  package func text(_ name: String) throws(WrongType) -> String? {
    guard let range = present(name) else { return nil }
    guard let text = text(at: range) else { throw WrongType() }
    return text
  }

  /// A text, or an array of texts; nil where there is none of this name, or null.
  package func texts(_ name: String) throws(WrongType) -> [String]? {
    guard let range = present(name) else { return nil }
    if let text = text(at: range) { return [text] }
    var scanner = JSONScanner(json, at: range.lowerBound)
    var (texts, areTexts) = ([String](), true)
    do {
      try scanner.skipArray { element in
        if let text = text(at: element) { texts.append(text) } else { areTexts = false }
      }
    } catch {
      throw WrongType()
    }
    guard areTexts else { throw WrongType() }
    return texts
  }

  /// A number that is finite; nil where there is none of this name, or null.
  package func number(_ name: String) throws(WrongType) -> Double? {
    guard let range = present(name) else { return nil }
    guard json[range.lowerBound] == UInt8(ascii: "-") || 0x30...0x39 ~= json[range.lowerBound],
      let number = Double(String(decoding: json[range], as: UTF8.self)), number.isFinite
    else { throw WrongType() }
    return number
  }

  private func present(_ name: String) -> Range<Int>? {
    values[name].flatMap { json[$0.lowerBound] == UInt8(ascii: "n") ? nil : $0 }
  }

  private func text(at range: Range<Int>) -> String? {
    json[range.lowerBound] == UInt8(ascii: "\"") ? JSONText.text(of: json[range]) : nil
  }
}
