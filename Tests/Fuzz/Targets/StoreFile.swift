import Basics
import BrokerCore

@testable import Stores

extension FuzzTarget {
  /// The file of a store.
  static let storefile = FuzzTarget(name: "storefile") { bytes in
    let contents = FileFormat.parse(bytes)
    let size = contents.records.reduce(FileFormat.headerBytes) { $0 + FileFormat.overheadBytes + $1.value.count }
    try promise(
      "what is read is there: \(contents.records.count) records", contents.records.isEmpty || size <= bytes.count)
    try promise("names are told apart", Set(contents.records.map(\.name)).count == contents.records.count)
    for record in contents.records {
      try promise("a value is one", (1...FileFormat.maxValueBytes).contains(record.value.count))
    }
    if contents.damage == nil { try promise("a sound file has nothing else in it", size == bytes.count) }
    let again = FileFormat.parse(write(contents.records))
    try promise("records are read as written", again == FileFormat.Contents(records: contents.records, damage: nil))
    if contents.damage == nil { try promise("and the file is the same", write(contents.records) == bytes) }
    // Cut anywhere, it gives records that were there.
    let cut = FileFormat.parse(Array(bytes.dropLast(1 + bytes.count / 3)))
    try promise("what is left of it was in it", contents.records.starts(with: cut.records))
    try check(contents.records)
  }

  private static func write(_ records: [FileFormat.Record]) -> [UInt8] {
    var bytes: [UInt8] = []
    FileFormat.appendHeader(count: records.count, to: &bytes)
    for record in records { FileFormat.append(record, to: &bytes) }
    return bytes
  }

  /// Values in memory keep to their bounds, however many come.
  private static func check(_ records: [FileFormat.Record]) throws {
    var values = StoredValues(maxEntries: 4, maxBytes: 256)
    let now = Instant(nanoseconds: 1_000_000_000)
    for record in records {
      let expiry = Instant(nanoseconds: Int64(truncatingIfNeeded: record.expiry >> 1))
      values.set(record.name, to: StoredValues.Entry(value: record.value, expiresAt: expiry), now: now)
      try promise("they are within bounds", values.entries.count <= 4 && values.bytes <= 256)
      let size = values.entries.values.reduce(0) { $0 + FileFormat.overheadBytes + $1.value.count }
      try promise("they are counted", values.bytes == size)
      if let value = values.value(of: record.name, at: now) {
        try promise("they are as written", value == record.value)
      }
    }
  }
}
