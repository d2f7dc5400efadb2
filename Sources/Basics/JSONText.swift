/// JSON without a tree, an encoder or a decoder (RFC 8259 §7).
package enum JSONText {
  /// Appends `text` as a JSON string with its quotes.
  package static func append(_ text: String, to output: inout [UInt8]) {
    output.append(UInt8(ascii: "\""))
    // Most texts need no escape, and then go over as a whole.
    if needsNoEscape(text.utf8.span) {
      output.append(contentsOf: text.utf8)
    } else {
      escape(text, to: &output)
    }
    output.append(UInt8(ascii: "\""))
  }

  private static func needsNoEscape(_ text: Span<UInt8>) -> Bool {
    for index in text.indices {
      let byte = text[index]
      if byte < 0x20 || byte >= 0x7F || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { return false }
    }
    return true
  }

  private static func escape(_ text: String, to output: inout [UInt8]) {
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": output += [UInt8(ascii: "\\"), UInt8(ascii: scalar)]
      case "\n": output += Array("\\n".utf8)
      case _ where changesTheLine(scalar):
        let (high, low) = (UInt8(scalar.value >> 8), UInt8(scalar.value & 0xFF))
        let digits = [high >> 4, high & 15, low >> 4, low & 15].map(Hex.digit)
        output += Array("\\u".utf8) + digits
      default: output.append(contentsOf: scalar.utf8)
      }
    }
  }

  /// Whether a terminal may do something else with it than show it: a control, the end of a line or a paragraph, or
  /// what turns the direction of writing (UAX #9 §2). All of them lie below U+10000.
  private static func changesTheLine(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case ..<0x20, 0x7F..<0xA0, 0x061C, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069: true
    default: false
    }
  }

  /// An object with these members in this order; each value is JSON already.
  package static func object(_ members: [(name: String, value: [UInt8])]) -> [UInt8] {
    var output: [UInt8] = [UInt8(ascii: "{")]
    for (index, member) in members.enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      append(member.name, to: &output)
      output.append(UInt8(ascii: ":"))
      output += member.value
    }
    output.append(UInt8(ascii: "}"))
    return output
  }

  package static func string(_ text: String) -> [UInt8] {
    var output: [UInt8] = []
    append(text, to: &output)
    return output
  }

  package static func number(_ value: Int) -> [UInt8] { Array(String(value).utf8) }

  package static func array(_ elements: [[UInt8]]) -> [UInt8] {
    [UInt8(ascii: "[")] + Array(elements.joined(separator: [UInt8(ascii: ",")])) + [UInt8(ascii: "]")]
  }

  // MARK: Reading

  /// What a JSON string, with its quotes, stands for; nil if it is malformed, or not in UTF-8.
  package static func text(of quoted: ArraySlice<UInt8>) -> String? {
    let inner = quoted.dropFirst().dropLast()
    var (hasEscapes, isASCII) = (false, true)
    for byte in inner {
      if byte < 0x20 { return nil }
      if byte == UInt8(ascii: "\\") { hasEscapes = true }
      if byte >= 0x80 { isASCII = false }
    }
    if hasEscapes { return unescaped(inner).flatMap { String(validating: $0, as: UTF8.self) } }
    // Validating takes several times as long.
    return isASCII ? String(decoding: inner, as: UTF8.self) : String(validating: inner, as: UTF8.self)
  }

  private static func unescaped(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    var (output, rest) = ([UInt8](), text)
    while let byte = rest.popFirst() {
      if byte != UInt8(ascii: "\\") {
        output.append(byte)
        continue
      }
      guard let letter = rest.popFirst() else { return nil }
      switch letter {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): output.append(letter)
      case UInt8(ascii: "b"): output.append(0x08)
      case UInt8(ascii: "f"): output.append(0x0C)
      case UInt8(ascii: "n"): output.append(0x0A)
      case UInt8(ascii: "r"): output.append(0x0D)
      case UInt8(ascii: "t"): output.append(0x09)
      case UInt8(ascii: "u"):
        guard let scalar = scalar(&rest) else { return nil }
        output.append(contentsOf: scalar.utf8)
      default: return nil
      }
    }
    return output
  }

  /// What follows `\u`, and for a scalar beyond U+FFFF a second one.
  private static func scalar(_ rest: inout ArraySlice<UInt8>) -> Unicode.Scalar? {
    guard let unit = codeUnit(&rest) else { return nil }
    guard UTF16.isLeadSurrogate(unit) else { return Unicode.Scalar(unit) }
    guard rest.popFirst() == UInt8(ascii: "\\"), rest.popFirst() == UInt8(ascii: "u"), let trail = codeUnit(&rest),
      UTF16.isTrailSurrogate(trail)
    else { return nil }
    return Unicode.Scalar(0x10000 + (UInt32(unit) & 0x3FF) << 10 + (UInt32(trail) & 0x3FF))
  }

  private static func codeUnit(_ rest: inout ArraySlice<UInt8>) -> UInt16? {
    var unit: UInt16 = 0
    for _ in 0..<4 {
      guard let digit = rest.popFirst().flatMap(Hex.value) else { return nil }
      unit = unit << 4 | UInt16(digit)
    }
    return unit
  }
}
