/// Eight bytes that are looked at together. Headers are searched with it, because a loop over single bytes takes five
/// times as long.
struct EightBytes {
  static let count = 8
  private static let ones: UInt64 = 0x0101_0101_0101_0101
  private static let tops = ones << 7

  /// The first byte is the lowest.
  private let word: UInt64

  /// There must be eight bytes at `position`.
  @inline(__always) init(_ bytes: Span<UInt8>, at position: Int) {
    word = unsafe UInt64(littleEndian: bytes.bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self))
  }

  /// Where the first byte is that is no visible ASCII, nor a space where that is let pass too; nil if there is none.
  @inline(__always) func firstNotVisible(orSpace isSpaceIncluded: Bool = false) -> Int? {
    Self.first(in: notVisible(from: isSpaceIncluded ? 0x20 : 0x21))
  }

  /// Where the first byte is that does not belong into a path: no visible ASCII, or a `?` or `#`; nil if there is none.
  @inline(__always) var firstNotOfPath: Int? {
    Self.first(in: notVisible(from: 0x21) | equal(to: UInt8(ascii: "?")) | equal(to: UInt8(ascii: "#")))
  }

  /// Where the first `byte` is; nil if there is none.
  @inline(__always) func first(_ byte: UInt8) -> Int? { Self.first(in: equal(to: byte)) }

  // Each of the next two marks bytes by their top bit. The lowest mark is right: a carry goes upwards only, from a byte
  // that is marked itself.

  /// What is below `lowest`, 0x7f or above ASCII.
  @inline(__always) private func notVisible(from lowest: UInt8) -> UInt64 {
    let reachesTop = word &+ Self.ones &* UInt64(0x80 - lowest)
    let isDelete = word &+ Self.ones
    return (word | ~reachesTop | isDelete) & Self.tops
  }

  @inline(__always) private func equal(to byte: UInt8) -> UInt64 {
    let difference = word ^ Self.ones &* UInt64(byte)
    return (difference &- Self.ones) & ~difference & Self.tops
  }

  @inline(__always) private static func first(in marks: UInt64) -> Int? {
    marks == 0 ? nil : marks.trailingZeroBitCount / 8
  }
}

extension Span<UInt8> {
  /// The first position from `start` on where `byte` is, which must be there.
  @inline(__always) func position(of byte: UInt8, from start: Int) -> Int {
    var position = start
    while position + EightBytes.count <= count {
      if let found = EightBytes(self, at: position).first(byte) { return position + found }
      position += EightBytes.count
    }
    while self[position] != byte { position += 1 }
    return position
  }

  /// The first position from `start` on whose byte does not belong into a path; there must be one.
  @inline(__always) func endOfPath(from start: Int) -> Int {
    var position = start
    while position + EightBytes.count <= count {
      if let found = EightBytes(self, at: position).firstNotOfPath { return position + found }
      position += EightBytes.count
    }
    while Octet.isOfPath(self[position]) { position += 1 }
    return position
  }
}
