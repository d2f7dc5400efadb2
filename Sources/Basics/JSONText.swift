/// Writing JSON without a tree or an encoder (RFC 8259 §7).
package enum JSONText {
  /// Appends `text` as a JSON string with its quotes.
  package static func append(_ text: String, to output: inout [UInt8]) {
    output.append(UInt8(ascii: "\""))
    // Most texts need no escape, and then go over as a whole.
    if text.utf8.allSatisfy({ 0x20..<0x7F ~= $0 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) {
      output.append(contentsOf: text.utf8)
    } else {
      escape(text, to: &output)
    }
    output.append(UInt8(ascii: "\""))
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
}
