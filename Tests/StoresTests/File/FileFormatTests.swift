import Testing
import BrokerCore

@testable import Stores

@Suite struct FileFormatTests {
  private static let numbers: [UInt8] = [1, 2, 3]
  private static let sound = Sample.file(numbers)
  private static let recordBytes = FileFormat.overheadBytes + 3

  @Test("The format stays the same to the byte, so that a broker reads its predecessor's file")
  func golden() {
    var bytes: [UInt8] = []
    FileFormat.appendHeader(count: 1, to: &bytes)
    FileFormat.append(.init(name: Sample.name(9), expiry: 0x0102_0304_0506, value: [0xAA, 0xBB]), to: &bytes)
    let header = Array("tb-store".utf8) + [1, 0, 0, 0] + [1, 0, 0, 0]
    let record = [UInt8](repeating: 9, count: 32) + [6, 5, 4, 3, 2, 1, 0, 0] + [2, 0, 0, 0] + [0xAA, 0xBB]
    #expect(bytes == header + record)
  }

  @Test("Records that were written are read again")
  func roundTrip() {
    let contents = FileFormat.parse(Self.sound)
    #expect(contents.damage == nil)
    #expect(contents.records.map(\.name) == Self.numbers.map(Sample.name))
    #expect(contents.records.map(\.value) == Self.numbers.map { [$0, 7, $0] })
    #expect(FileFormat.parse(Sample.file([])) == FileFormat.Contents())
  }

  @Test("A file that is cut short has the whole records before the cut, and is known to be damaged")
  func truncation() {
    for length in 0..<Self.sound.count {
      let contents = FileFormat.parse(Array(Self.sound.prefix(length)))
      #expect(contents.damage == (length < 8 ? .foreign : .cutShort), "\(length)")
      #expect(contents.records.count == max(0, length - FileFormat.headerBytes) / Self.recordBytes, "\(length)")
    }
  }

  @Test("A flipped bit anywhere leaves the records before it as they are")
  func flips() {
    let whole = FileFormat.parse(Self.sound).records
    for place in Self.sound.indices {
      for bit in 0..<8 {
        var bytes = Self.sound
        bytes[place] ^= 1 << bit
        let before = max(0, place - FileFormat.headerBytes) / Self.recordBytes
        let contents = FileFormat.parse(bytes)
        let intact = place < FileFormat.headerBytes ? 0 : before
        #expect(contents.records.prefix(intact) == whole.prefix(intact), "\(place) \(bit)")
        if place < FileFormat.headerBytes { #expect(contents.damage != nil, "\(place) \(bit)") }
      }
    }
  }

  /// What is changed in a sound file, where, and what it is then.
  @Test(
    "A file that no broker could have written is known to be damaged",
    arguments: [
      ("another magic", 0, [0x54], .foreign), ("version 0", 8, [0], .foreign),
      ("the next version", 8, [2], .newer(version: 2)),
      ("the last version", 8, [0xFF, 0xFF, 0xFF, 0xFF], .newer(version: 0xFFFF_FFFF)),
      ("fewer records than there are", 12, [2], .excess), ("more", 12, [4], .cutShort),
      ("many more", 12, [0xFF, 0xFF, 0xFF, 0xFF], .cutShort), ("no value", 16 + 40, [0], .impossibleLength),
      ("a shorter value", 16 + 40, [2], .cutShort),
      ("a longer value than there is", 16 + 40, [0xFF], .cutShort),
      ("the longest value", 16 + 40, [0, 0, 1], .cutShort), ("a longer one", 16 + 40, [1, 0, 1], .impossibleLength),
      ("the largest length", 16 + 40, [0xFF, 0xFF, 0xFF, 0xFF], .impossibleLength),
      ("a name twice", 16 + 47, [UInt8](repeating: 1, count: 32), .repeatedName),
    ] as [(String, Int, [UInt8], FileFormat.Damage)])
  func changes(_ what: String, _ place: Int, _ bytes: [UInt8], _ damage: FileFormat.Damage) {
    var file = Self.sound
    file.replaceSubrange(place..<place + bytes.count, with: bytes)
    #expect(FileFormat.parse(file).damage == damage)
  }

  @Test("Bytes behind the last record are damage")
  func excess() {
    let contents = FileFormat.parse(Self.sound + [0])
    #expect(contents.damage == .excess)
    #expect(contents.records.count == 3)
  }
}
