import FoundationEssentials

/// Finds JSON objects that two readers could understand differently, and that a decoder accepts.
package enum JSONKeys {
  /// True if the object, which is well-formed JSON, names a member twice at its top level, or is not in UTF-8: the
  /// decoder takes UTF-16 and UTF-32 as well, which RFC 8259 §8.1 rules out. They all have zero bytes.
  package static func areAmbiguous(in json: [UInt8]) -> Bool {
    if json.contains(0) { return true }
    var seen: Set<String> = []
    var depth = 0
    var index = 0
    var previous: UInt8 = 0
    while index < json.count {
      let byte = json[index]
      switch byte {
      case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
      case UInt8(ascii: "\""):
        let end = endOfString(in: json, from: index)
        let isKey = depth == 1 && (previous == UInt8(ascii: "{") || previous == UInt8(ascii: ","))
        if isKey, !seen.insert(text(json[index..<end])).inserted { return true }
        index = end
        previous = byte
        continue
      default: break
      }
      if byte > 0x20 { previous = byte }
      index += 1
    }
    return false
  }

  /// The index behind the closing quote.
  private static func endOfString(in json: [UInt8], from quote: Int) -> Int {
    var index = quote + 1
    while index < json.count, json[index] != UInt8(ascii: "\"") {
      index += json[index] == UInt8(ascii: "\\") ? 2 : 1
    }
    return min(index + 1, json.count)
  }

  /// The string's text: `access\u005ftoken` is the same key as `access_token`.
  private static func text(_ quoted: ArraySlice<UInt8>) -> String {
    (try? JSONDecoder().decode(String.self, from: Data(quoted))) ?? String(decoding: quoted, as: UTF8.self)
  }
}
