import Crypto

/// The SHA-256 of a caller's key or token. What is kept and compared is this, never the key.
package struct SHA256Digest: Sendable {
  private let words: (UInt64, UInt64, UInt64, UInt64)

  package init(of bytes: Span<UInt8>) {
    var hash = SHA256()
    unsafe bytes.withUnsafeBytes { unsafe hash.update(bufferPointer: $0) }
    self.init(hash.finalizeWiping())
  }

  /// nil unless `hex` is 64 hexadecimal digits.
  package init?(hex: String) {
    guard let bytes = Hex.bytes(hex), bytes.count == 32 else { return nil }
    self.init(bytes)
  }

  /// A digest that was made elsewhere: 32 bytes.
  package init(_ bytes: some Sequence<UInt8>) {
    var words: [UInt64] = [0, 0, 0, 0]
    for (index, byte) in bytes.enumerated() { words[index / 8] = words[index / 8] << 8 | UInt64(byte) }
    self.words = (words[0], words[1], words[2], words[3])
  }

  /// In lower-case hexadecimal.
  package var hex: String { [words.0, words.1, words.2, words.3].map(Hex.text).joined() }
}

extension SHA256Digest: Hashable {
  /// Takes the same time wherever the first difference is.
  package static func == (left: SHA256Digest, right: SHA256Digest) -> Bool {
    let (a, b) = (left.words, right.words)
    return (a.0 ^ b.0) | (a.1 ^ b.1) | (a.2 ^ b.2) | (a.3 ^ b.3) == 0
  }

  /// Nobody who does not know a key can choose its digest, and the hasher is seeded anew in each process: how long a
  /// lookup takes tells nothing of the digests that are held.
  package func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
}
