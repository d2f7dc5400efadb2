/// Foreign text made fit for a message: printable ASCII, and not much of it.
package enum PrintableText {
  package static func text(_ text: String, limit: Int = 200) -> String {
    let kept = text.unicodeScalars.prefix(limit).map { 0x20..<0x7F ~= $0.value ? UInt8(ascii: $0) : UInt8(ascii: "?") }
    return String(decoding: kept, as: UTF8.self)
  }
}
