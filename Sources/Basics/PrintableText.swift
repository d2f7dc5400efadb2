/// Foreign text made fit for a message: printable ASCII, and not much of it.
package enum PrintableText {
  package static func text(_ text: String, limit: Int = 200) -> String {
    var kept: [UInt8] = []
    for scalar in text.unicodeScalars {
      if kept.count == limit { break }
      kept.append(0x20..<0x7F ~= scalar.value ? UInt8(ascii: scalar) : UInt8(ascii: "?"))
    }
    return String(decoding: kept, as: UTF8.self)
  }
}
