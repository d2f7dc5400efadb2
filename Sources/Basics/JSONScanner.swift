/// Finds where the values of a JSON text end (RFC 8259 §2). Texts are not looked into: only what ends them counts.
struct JSONScanner {
  private let json: [UInt8]
  /// The byte that is looked at next.
  private var index: Int

  /// Deeper than anything that is read here; each level takes room on the stack.
  private static let mostLevels = 128

  init(_ json: [UInt8], at index: Int = 0) {
    self.json = json
    self.index = index
  }

  /// The next byte that is no white space, left in its place; nil at the end.
  mutating func peek() -> UInt8? {
    while index < json.count {
      switch json[index] {
      case 0x20, 0x09, 0x0A, 0x0D: index += 1
      case let byte: return byte
      }
    }
    return nil
  }

  /// Passes over an object, and tells of each member where its name, with the quotes, and its value stand.
  mutating func skipObject(
    level: Int = 1, _ onMember: (_ name: Range<Int>, _ value: Range<Int>) -> Void
  ) throws(JSONObject.Flaw) {
    guard level <= Self.mostLevels, peek() == UInt8(ascii: "{") else { throw .malformed }
    index += 1
    if skip(UInt8(ascii: "}")) { return }
    repeat {
      guard peek() == UInt8(ascii: "\"") else { throw .malformed }
      let name = try skipValue(level: level)
      guard skip(UInt8(ascii: ":")) else { throw .malformed }
      onMember(name, try skipValue(level: level))
    } while skip(UInt8(ascii: ","))
    guard skip(UInt8(ascii: "}")) else { throw .malformed }
  }

  /// Passes over an array, and tells where each of its elements stands.
  mutating func skipArray(level: Int = 1, _ onElement: (Range<Int>) -> Void) throws(JSONObject.Flaw) {
    guard level <= Self.mostLevels, peek() == UInt8(ascii: "[") else { throw .malformed }
    index += 1
    if skip(UInt8(ascii: "]")) { return }
    repeat { onElement(try skipValue(level: level)) } while skip(UInt8(ascii: ","))
    guard skip(UInt8(ascii: "]")) else { throw .malformed }
  }

  /// Whether the byte comes next, which is then passed over.
  private mutating func skip(_ byte: UInt8) -> Bool {
    guard peek() == byte else { return false }
    index += 1
    return true
  }

  private mutating func skipValue(level: Int) throws(JSONObject.Flaw) -> Range<Int> {
    guard let first = peek() else { throw .malformed }
    let start = index
    switch first {
    case UInt8(ascii: "\""): try skipText()
    case UInt8(ascii: "{"): try skipObject(level: level + 1) { _, _ in }
    case UInt8(ascii: "["): try skipArray(level: level + 1) { _ in }
    case UInt8(ascii: "t"): try skipWord("true")
    case UInt8(ascii: "f"): try skipWord("false")
    case UInt8(ascii: "n"): try skipWord("null")
    default: try skipNumber()
    }
    return start..<index
  }

  private mutating func skipText() throws(JSONObject.Flaw) {
    index += 1
    while index < json.count {
      let byte = json[index]
      index += 1
      if byte == UInt8(ascii: "\"") { return }
      if byte == UInt8(ascii: "\\") { index += 1 }
    }
    throw .malformed
  }

  private mutating func skipWord(_ word: StaticString) throws(JSONObject.Flaw) {
    let end = index + word.utf8CodeUnitCount
    guard end <= json.count, json[index..<end].elementsEqual("\(word)".utf8) else { throw .malformed }
    index = end
  }

  // MARK: Numbers

  /// RFC 8259 §6.
  private mutating func skipNumber() throws(JSONObject.Flaw) {
    _ = skipOne { $0 == UInt8(ascii: "-") }
    if !skipOne({ $0 == UInt8(ascii: "0") }) { try skipDigits() }
    if skipOne({ $0 == UInt8(ascii: ".") }) { try skipDigits() }
    if skipOne({ $0 | 0x20 == UInt8(ascii: "e") }) {
      _ = skipOne { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "-") }
      try skipDigits()
    }
  }

  /// Passes over one or more digits.
  private mutating func skipDigits() throws(JSONObject.Flaw) {
    let start = index
    while skipOne({ 0x30...0x39 ~= $0 }) {}
    if index == start { throw .malformed }
  }

  /// Whether the byte that comes next, white space or not, is such a one, which is then passed over.
  private mutating func skipOne(_ isSuch: (UInt8) -> Bool) -> Bool {
    guard index < json.count, isSuch(json[index]) else { return false }
    index += 1
    return true
  }
}
