import BrokerCore

@testable import Stores

extension FuzzTarget {
  /// The file of a store as brokers before 0.2 wrote it.
  static let storefile = FuzzTarget(name: "storefile") { bytes in
    let (records, damage) = read(bytes)
    let again = write(records)
    try promise("what is read is there: \(records.count) records", records.isEmpty || again.count <= bytes.count)
    for record in records {
      try promise("a value is one", (1...StoreDatabase.maxValueBytes).contains(record.value.count))
    }
    if damage == nil { try promise("a sound file has nothing else in it", again == bytes) }
    let reread = read(again)
    try promise("records are read as written", reread.records == records && reread.damage == nil)
    // Cut anywhere, it gives records that were there.
    let cut = read(Array(bytes.dropLast(1 + bytes.count / 3)))
    try promise("what is left of it was in it", records.starts(with: cut.records))
  }

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

  private static func write(_ records: [FileFormat.Record]) -> [UInt8] {
    var bytes = FileFormat.magic + little(FileFormat.version, 4) + little(UInt64(records.count), 4)
    for record in records {
      bytes += record.name.bytes + little(record.expiry, 8) + little(UInt64(record.value.count), 4) + record.value
    }
    return bytes
  }

  private static func little(_ number: UInt64, _ size: UInt64) -> [UInt8] {
    (0..<size).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
  }
}
