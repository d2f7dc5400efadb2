import Basics

@testable import HTTPServer

extension FuzzTarget {
  /// A chunked body, and what follows it.
  static let chunked = FuzzTarget(name: "chunked") { bytes in
    let whole = decode([bytes[...]])
    if case .whole(let body, let end) = whole {
      try promise("what is taken is what RFC 9112 §7.1 allows: \(whole)", read(bytes[..<end]) == body)
    }
    for split in Splits.of(bytes) {
      let decoded = decode(split)
      try promise("the split decides nothing: \(whole) \(decoded)", decoded == whole)
    }
    let body = Array(bytes.prefix(limit))
    for chunks in Splits.of(body) {
      let chunked = chunks.filter { !$0.isEmpty }.flatMap { chunk($0) } + Array("0\r\nA: b\r\n\r\n".utf8)
      let decoded = decode([(chunked + bytes)[...]])
      try promise("chunks give what was in them: \(decoded)", decoded == .whole(body: body, end: chunked.count))
    }
  }

  private enum Outcome: Equatable {
    case whole(body: [UInt8], end: Int)
    case unfinished
    case refused(Rejection)
  }

  private static let limit = 64

  private static func decode(_ pieces: [ArraySlice<UInt8>]) -> Outcome {
    var decoder = ChunkedDecoder(start: 0)
    var held: [UInt8] = []
    do throws(Rejection) {
      for piece in pieces {
        held += piece
        var span = held.mutableSpan
        if try decoder.decode(&span, limit: limit) {
          return .whole(body: Array(held[decoder.body]), end: decoder.position)
        }
      }
      return .unfinished
    } catch {
      return .refused(error)
    }
  }

  private static func chunk(_ data: ArraySlice<UInt8>) -> [UInt8] {
    Array("0\(String(data.count, radix: 16, uppercase: data.count % 2 == 0))\r\n".utf8) + data + [13, 10]
  }

  /// The grammar once more, by lines instead of by bytes; nil if this is no chunked body to its last byte.
  private static func read(_ bytes: ArraySlice<UInt8>) -> [UInt8]? {
    var rest = bytes
    var body: [UInt8] = []
    while let line = takeLine(&rest) {
      let digits = line.prefix { Hex.value($0) != nil }
      let extensions = line[digits.endIndex...]
      guard (1...8).contains(digits.count), let size = Int(String(decoding: digits, as: UTF8.self), radix: 16),
        extensions.isEmpty || extensions.first(where: { !Octet.isSpace($0) }) == UInt8(ascii: ";"),
        extensions.allSatisfy(Octet.isFieldValue)
      else { return nil }
      if size == 0 { return areTrailers(rest) ? body : nil }
      let data = rest.prefix(size)
      rest = rest.dropFirst(size)
      guard data.count == size, takeLine(&rest)?.isEmpty == true else { return nil }
      body += data
    }
    return nil
  }

  private static func areTrailers(_ bytes: ArraySlice<UInt8>) -> Bool {
    var rest = bytes
    while let line = takeLine(&rest) {
      if line.isEmpty { return rest.isEmpty }
      guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex,
        line[..<colon].allSatisfy(Octet.isToken), line[colon...].allSatisfy(Octet.isFieldValue)
      else { return false }
    }
    return false
  }

  /// Up to the next CR LF, which goes with it.
  private static func takeLine(_ rest: inout ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    guard let end = rest.indices.dropLast().first(where: { rest[$0] == 13 && rest[$0 + 1] == 10 }) else { return nil }
    defer { rest = rest[(end + 2)...] }
    return rest[..<end]
  }
}
