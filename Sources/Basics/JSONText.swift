/// Writing JSON without a tree or an encoder (RFC 8259 §7).
package enum JSONText {
  /// Appends `text` as a JSON string with its quotes.
  package static func append(_ text: String, to output: inout [UInt8]) {
    output.append(UInt8(ascii: "\""))
    // Most texts need no escape, and then go over as a whole.
    if text.utf8.allSatisfy({ $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") && $0 != 0x7F }) {
      output.append(contentsOf: text.utf8)
    } else {
      escape(text, to: &output)
    }
    output.append(UInt8(ascii: "\""))
  }

  private static func escape(_ text: String, to output: inout [UInt8]) {
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): output += [UInt8(ascii: "\\"), byte]
      case 0x0A: output += [UInt8(ascii: "\\"), UInt8(ascii: "n")]
      case ..<0x20, 0x7F: output += Array("\\u00".utf8) + [Hex.digit(byte >> 4), Hex.digit(byte & 15)]
      default: output.append(byte)
      }
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
