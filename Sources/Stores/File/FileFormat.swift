import BrokerCore

/// What a store's file holds. Numbers are little-endian:
///
///     magic: 8 bytes   version: 4   count of records: 4
///     each record:     name: 32     expiry: 8, Unix time in milliseconds   length: 4   value
enum FileFormat {
  static let version: UInt64 = 1
  static let headerBytes = 16
  /// The bytes of a record beside its value.
  static let overheadBytes = 44
  static let maxValueBytes = 64 << 10

  private static let magic = Array("tb-store".utf8)

  struct Record: Equatable, Sendable {
    let name: StoreName
    /// Unix time in milliseconds.
    let expiry: UInt64
    let value: [UInt8]
  }

  /// The records up to the first thing that is wrong, and what that is.
  struct Contents: Equatable {
    var records: [Record] = []
    var damage: Damage?
  }

  enum Damage: Error, Equatable {
    /// A newer broker has written it, in a format that is not known here.
    case newer(version: UInt64)
    case foreign
    case cutShort
    case impossibleLength
    case repeatedName
    case excess
  }

  static func appendHeader(count: Int, to bytes: inout [UInt8]) {
    bytes += magic
    append(version, 4, to: &bytes)
    append(UInt64(count), 4, to: &bytes)
  }

  static func append(_ record: Record, to bytes: inout [UInt8]) {
    bytes += record.name.bytes
    append(record.expiry, 8, to: &bytes)
    append(UInt64(record.value.count), 4, to: &bytes)
    bytes += record.value
  }

  private static func append(_ number: UInt64, _ size: Int, to bytes: inout [UInt8]) {
    for place in 0..<size { bytes.append(UInt8(truncatingIfNeeded: number >> (8 * UInt64(place)))) }
  }

  static func parse(_ bytes: [UInt8]) -> Contents {
    var contents = Contents()
    do throws(Damage) { try parse(Cursor(rest: bytes[...]), into: &contents.records) } catch { contents.damage = error }
    return contents
  }

  private static func parse(_ start: Cursor, into records: inout [Record]) throws(Damage) {
    var cursor = start
    guard let found = try? cursor.next(magic.count), found.elementsEqual(magic) else { throw .foreign }
    let version = try cursor.number(4)
    if version > Self.version { throw .newer(version: version) }
    if version < Self.version { throw .foreign }
    var names: Set<StoreName> = []
    for _ in 0..<(try cursor.number(4)) {
      let name = StoreName(try cursor.next(32))
      let expiry = try cursor.number(8)
      let length = try cursor.number(4)
      guard (1...maxValueBytes).contains(Int(length)) else { throw .impossibleLength }
      let value = Array(try cursor.next(Int(length)))
      guard names.insert(name).inserted else { throw .repeatedName }
      records.append(Record(name: name, expiry: expiry, value: value))
    }
    if !cursor.rest.isEmpty { throw .excess }
  }

  private struct Cursor {
    var rest: ArraySlice<UInt8>

    mutating func next(_ count: Int) throws(Damage) -> ArraySlice<UInt8> {
      guard rest.count >= count else { throw .cutShort }
      defer { rest = rest.dropFirst(count) }
      return rest.prefix(count)
    }

    mutating func number(_ size: Int) throws(Damage) -> UInt64 {
      try next(size).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
  }
}

extension FileFormat.Damage: CustomStringConvertible {
  var description: String {
    switch self {
    case .newer(let version): "a newer token-broker has written it (version \(version))"
    case .foreign: "it is no store of token-broker"
    case .cutShort: "it is cut short"
    case .impossibleLength: "a record in it has an impossible length"
    case .repeatedName: "a name in it occurs twice"
    case .excess: "there is more in it than its header says"
    }
  }
}
