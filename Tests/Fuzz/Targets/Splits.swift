import BrokerCore

/// Ways in which bytes may arrive in pieces, always the same for the same bytes.
enum Splits {
  /// At once, a byte at a time where that is not too much, and at random in three ways.
  static func of(_ bytes: [UInt8]) -> [[ArraySlice<UInt8>]] {
    var splits = [[bytes[...]]]
    if bytes.count <= 512 { splits.append(bytes.indices.map { bytes[$0...$0] }) }
    var random = SeededGenerator(seed: bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 })
    for longest in [4, 32, 4096] {
      var pieces: [ArraySlice<UInt8>] = []
      var rest = bytes[...]
      while !rest.isEmpty {
        pieces.append(rest.prefix(Int.random(in: 1...longest, using: &random)))
        rest = rest.dropFirst(pieces[pieces.count - 1].count)
      }
      splits.append(pieces)
    }
    return splits
  }
}
