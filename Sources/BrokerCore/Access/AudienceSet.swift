/// The audiences that a caller may have: named ones, all beneath a prefix, or any.
package struct AudienceSet: Sendable {
  private var names: Set<[UInt8]> = []
  /// Each ends with a slash, so that `https://a.example/*` reaches no longer host and no longer name.
  private var prefixes: [[UInt8]] = []
  private var isEverything = false

  package init() {}

  /// Adds an audience, `…/*` for all that begin with what stands before the star, or `*` for any.
  /// False, with nothing added, for a star anywhere else.
  package mutating func insert(pattern: String) -> Bool {
    let bytes = Array(pattern.utf8)
    switch bytes.firstIndex(of: UInt8(ascii: "*")) {
    case nil: names.insert(bytes)
    case 0 where bytes.count == 1: isEverything = true
    // Behind the scheme it would stand for every host.
    case bytes.count - 1 where bytes.hasSuffix("/*") && !bytes.hasSuffix("//*") && !bytes.hasSuffix(":/*"):
      prefixes.append(bytes.dropLast())
    default: return false
    }
    return true
  }

  /// The only one that is named; nil where none is, or several are.
  package var onlyName: String? { names.count == 1 ? names.first.map { String(decoding: $0, as: UTF8.self) } : nil }

  /// What is named, then what all of a prefix begins with; each is an audience of the set. Sorted.
  package var examples: [String] {
    [Array(names), prefixes].flatMap { $0.map { String(decoding: $0, as: UTF8.self) }.sorted() }
  }

  /// By bytes, as the tenant compares audiences: nothing is normalised.
  package func contains(_ audience: [UInt8]) -> Bool {
    isEverything || names.contains(audience) || prefixes.contains { audience.starts(with: $0) }
  }
}

extension [UInt8] {
  fileprivate func hasSuffix(_ text: String) -> Bool { suffix(text.utf8.count).elementsEqual(text.utf8) }
}
