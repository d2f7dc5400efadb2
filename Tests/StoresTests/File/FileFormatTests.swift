import BrokerCore
import Testing

@testable import Stores

@Suite struct FileFormatTests {
  private static let numbers: [UInt8] = [1, 2, 3]
  private static let sound = Sample.file(numbers)
  private static let headerBytes = 16
  private static let recordBytes = 44 + 3

  private static func read(_ bytes: [UInt8]) -> (records: [FileFormat.Record], damage: FileFormat.Damage?) {
    var format = FileFormat(bytes)
    var records: [FileFormat.Record] = []
    do throws(FileFormat.Damage) {
      while let record = try format.next() { records.append(record) }
      return (records, nil)
    } catch {
      return (records, error)
    }
  }

  @Test("What brokers before 0.2 wrote is read")
  func golden() {
    let header = Array("tb-store".utf8) + [1, 0, 0, 0] + [1, 0, 0, 0]
    let record = [UInt8](repeating: 9, count: 32) + [6, 5, 4, 3, 2, 1, 0, 0] + [2, 0, 0, 0] + [0xAA, 0xBB]
    let found = Self.read(header + record)
    #expect(found.damage == nil)
    #expect(found.records == [.init(name: Sample.name(9), expiry: 0x0102_0304_0506, value: [0xAA, 0xBB])])
    #expect(Self.read(Sample.file([])).records.isEmpty)
  }

  @Test("A file that is cut short has the whole records before the cut, and is known to be damaged")
  func truncation() {
    for length in 0..<Self.sound.count {
      let found = Self.read(Array(Self.sound.prefix(length)))
      #expect(found.damage == (length < 8 ? .foreign : .cutShort), "\(length)")
      #expect(found.records.count == max(0, length - Self.headerBytes) / Self.recordBytes, "\(length)")
    }
  }

  @Test("A flipped bit anywhere leaves the records before it as they are")
  func flips() {
    let whole = Self.read(Self.sound).records
    for place in Self.sound.indices {
      for bit in 0..<8 {
        var bytes = Self.sound
        bytes[place] ^= 1 << bit
        let found = Self.read(bytes)
        let intact = max(0, place - Self.headerBytes) / Self.recordBytes
        #expect(found.records.prefix(intact) == whole.prefix(intact), "\(place) \(bit)")
        if place < Self.headerBytes { #expect(found.damage != nil, "\(place) \(bit)") }
      }
    }
  }

  /// What is changed in a sound file, where, and what it is then.
  @Test(
    "A file that no broker could have written is known to be damaged",
    arguments: [
      ("another magic", 0, [0x54], .foreign), ("another version", 8, [2], .foreign),
      ("fewer records than there are", 12, [2], .excess), ("more", 12, [4], .cutShort),
      ("many more", 12, [0xFF, 0xFF, 0xFF, 0xFF], .cutShort), ("no value", 16 + 40, [0], .impossibleLength),
      ("a longer value than there is", 16 + 40, [0xFF], .cutShort),
      ("the longest value", 16 + 40, [0, 0, 1], .cutShort), ("a longer one", 16 + 40, [1, 0, 1], .impossibleLength),
      ("the largest length", 16 + 40, [0xFF, 0xFF, 0xFF, 0xFF], .impossibleLength),
    ] as [(String, Int, [UInt8], FileFormat.Damage)])
  func changes(_ what: String, _ place: Int, _ bytes: [UInt8], _ damage: FileFormat.Damage) {
    var file = Self.sound
    file.replaceSubrange(place..<place + bytes.count, with: bytes)
    #expect(Self.read(file).damage == damage)
  }
}
