import BrokerCore

/// Reads what brokers before 0.2 kept in a store's file, which was written as a whole. Numbers are little-endian:
///
///     magic: 8 bytes   version: 4   count of records: 4
///     each record:     name: 32     expiry: 8, Unix time in milliseconds   length: 4   value
struct FileFormat {
  static let magic = Array("tb-store".utf8)
  static let version: UInt64 = 1
  static let maxBytes = 256 << 20

  struct Record: Equatable, Sendable {
    let name: StoreName
    /// Unix time in milliseconds.
    let expiry: UInt64
    let value: [UInt8]
  }

  enum Damage: Error, Equatable {
    case foreign
    case cutShort
    case impossibleLength
    case excess
  }

  private var rest: ArraySlice<UInt8>
  /// How many records are still to come; nil before the header was read.
  private var left: UInt64?

  /// `bytes` are those of the whole file.
  init(_ bytes: [UInt8]) { rest = bytes[...] }

  /// The next record; nil behind the last. Throws the first thing that is wrong; the records before it are good.
  mutating func next() throws(Damage) -> Record? {
    let left: UInt64
    if let known = self.left { left = known } else { left = try header() }
    if left == 0 {
      if !rest.isEmpty { throw .excess }
      self.left = 0
      return nil
    }
    let name = StoreName(try bytes(32))
    let expiry = try number(8)
    let length = try number(4)
    guard (1...StoreDatabase.maxValueBytes).contains(Int(length)) else { throw .impossibleLength }
    let value = Array(try bytes(Int(length)))
    self.left = left - 1
    return Record(name: name, expiry: expiry, value: value)
  }

  private mutating func header() throws(Damage) -> UInt64 {
    guard let found = try? bytes(Self.magic.count), found.elementsEqual(Self.magic) else { throw .foreign }
    if try number(4) != Self.version { throw .foreign }
    return try number(4)
  }

  private mutating func bytes(_ count: Int) throws(Damage) -> ArraySlice<UInt8> {
    guard rest.count >= count else { throw .cutShort }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count)
  }

  private mutating func number(_ size: Int) throws(Damage) -> UInt64 {
    try bytes(size).reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
}

extension FileFormat.Damage: CustomStringConvertible {
  var description: String {
    switch self {
    case .foreign: "it is no store of token-broker"
    case .cutShort: "it is cut short"
    case .impossibleLength: "a record in it has an impossible length"
    case .excess: "there is more in it than its header says"
    }
  }
}
