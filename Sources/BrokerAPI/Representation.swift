import HTTPServer

/// How a token is written into a response.
enum Representation {
  case json, text
  /// In the `Authorization` field of a response without a body, for a proxy to pass on.
  case field

  /// What an `Accept` field wants (RFC 9110 §12.5.1): the higher quality, JSON where both are equal; nil for neither.
  /// The most specific range that matches a type gives its quality.
  static func negotiate(_ accept: String?) -> Representation? {
    guard let accept, !accept.isEmpty else { return .json }
    let ranges = accept.split(separator: ",").map(MediaRange.init)
    let json = quality(of: "application", "json", in: ranges)
    let text = quality(of: "text", "plain", in: ranges)
    if max(json, text) == 0 { return nil }
    return json >= text ? .json : .text
  }

  private static func quality(of type: String, _ subtype: String, in ranges: [MediaRange]) -> Double {
    let names = ["\(type)/\(subtype)", "\(type)/*", "*/*"]
    return names.lazy.compactMap { name in ranges.first { $0.name == name } }.first?.quality ?? 0
  }

  private struct MediaRange {
    let name: String
    var quality = 1.0

    init(_ text: Substring) {
      let parts = text.split(separator: ";").map(\.trimmingSpaces)
      name = parts.first?.lowercased() ?? ""
      for part in parts.dropFirst() where part.lowercased().starts(with: "q=") {
        let text = part.dropFirst(2)
        let isPlain = text.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") }
        quality = isPlain ? min(Double(text) ?? 0, 1) : 0
      }
    }
  }
}
