import BrokerCore
import Foundation
import TestSupport
import Testing

@testable import Stores

/// The statements, at times that the test chooses.
@Suite struct StoreDatabaseTests {
  private let place: StorePlace
  private let name = Sample.name(1)
  private let start: Int64 = 1_800_000_000_000
  private let lease: Int64 = 3000

  init() throws {
    place = try StorePlace()
    place.open().close()
  }

  private func claim(_ number: UInt64, of byte: UInt8 = 1) -> StoreClaim {
    StoreClaim(name: Sample.name(byte), fence: number)
  }

  private func isGranted(
    _ fence: UInt64, at time: Int64, in database: StoreDatabase
  ) throws -> Bool {
    let answer = try database.claim(claim(fence), for: lease, loading: [], now: time)
    if case .granted = answer.outcome { return true }
    return false
  }

  @Test("A value is found before it expires, and not at that moment")
  func expiry() throws {
    let database = try place.database()
    try database.save([Sample.entry(1, lifetime: .seconds(10))], settling: nil, now: start)
    #expect(try database.load([name, Sample.name(2)], now: start + 9999) == [[1, 2, 3], nil])
    #expect(try database.load([name], now: start + 10_000) == [nil])
  }

  @Test("What has expired is taken out, a hundred at a time, and nothing else")
  func tidying() throws {
    let database = try place.database()
    try database.save((0..<150).map { Sample.entry($0, lifetime: .seconds(10)) }, settling: nil, now: start)
    try database.save((150..<155).map { Sample.entry($0) }, settling: nil, now: start)
    let counts = try (0..<3).map { _ in
      try database.tidy(now: start + 10_000)
      return try database.count
    }
    #expect(counts == [55, 5, 5])
  }

  @Test("Only one has a claim, until it is given up or a lease is over")
  func claims() throws {
    let (first, second) = (try place.database(), try place.database())
    #expect(try isGranted(1, at: start, in: first))
    let answer = try second.claim(claim(2), for: lease, loading: [name], now: start + 1000)
    guard case .taken(.milliseconds(2000)) = answer.outcome else { throw Wrong() }
    #expect(answer.values == [nil])
    #expect(try second.claimed(now: start + 1000) == [name])
    #expect(try first.renew(claim(1), for: lease, now: start + 2000))
    #expect(try !isGranted(2, at: start + 4999, in: second))
    #expect(try isGranted(2, at: start + 5000, in: second))
    #expect(try !first.renew(claim(1), for: lease, now: start + 5000))
    try second.save([Sample.entry(1)], settling: claim(2), now: start + 5001)
    #expect(try second.claimed(now: start + 5001).isEmpty)
    #expect(try isGranted(3, at: start + 5001, in: first))
  }

  private struct Wrong: Error {}

  @Test("A claim that was made before the clock was set back holds up nobody")
  func clockSetBack() throws {
    let database = try place.database()
    #expect(try isGranted(1, at: start, in: database))
    #expect(try isGranted(2, at: start - 3_600_000, in: database))
    // Not by so little that another process may only have waited in between.
    #expect(try !isGranted(3, at: start - 3_600_001, in: database))
  }

  @Test("A holder that was too slow changes neither the claim of another nor newer values", arguments: [true, false])
  func tooSlow(_ isHeld: Bool) throws {
    let database = try place.database()
    #expect(try isGranted(1, at: start, in: database))
    #expect(try isGranted(2, at: start + 3000, in: database))
    if !isHeld { try database.save([Sample.entry(1, [2])], settling: claim(2), now: start + 3001) }
    try database.save([Sample.entry(1, [1]), Sample.entry(2, [1])], settling: claim(1), now: start + 3002)
    let found = try database.load([name, Sample.name(2)], now: start + 3003)
    #expect(found == (isHeld ? [nil, nil] : [[2], [1]]))
    #expect(try database.claimed(now: start + 3003) == (isHeld ? [name] : []))
  }

  @Test("At the bound what expires soonest goes")
  func bound() throws {
    let database = try StoreDatabase(place.path, maxPages: 64)
    let value = [UInt8](repeating: 1, count: 3500)
    for number in 0..<200 as Range<UInt8> {
      let life = Duration.seconds(number == 0 ? 1_000_000 : 1000 + Int(number))
      try database.save([Sample.entry(number, value, lifetime: life)], settling: nil, now: start)
    }
    #expect((30..<64).contains(try database.count))
    #expect(try database.load([0, 1, 199].map(Sample.name), now: start) == [value, nil, value])
  }

  @Test("At the bound there is room for a value of several pages")
  func boundOfLongValues() throws {
    let database = try StoreDatabase(place.path, maxPages: 64)
    let value = [UInt8](repeating: 1, count: 20 << 10)
    for number in 0..<30 as Range<UInt8> {
      let life = Duration.seconds(1000 + Int(number))
      try database.save([Sample.entry(number, value, lifetime: life)], settling: nil, now: start)
      #expect(try database.load([Sample.name(number)], now: start) == [value])
    }
  }

  @Test("A write of one value among thousands is a few pages")
  func cost() throws {
    let database = try place.database()
    let value = [UInt8](repeating: 1, count: 1300)
    var random = SeededGenerator(seed: 1)
    for _ in 0..<40 {
      let entries = (0..<50).map { _ in
        StoreEntry(
          name: StoreName((0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }), value: value,
          lifetime: .seconds(60))
      }
      try database.save(entries, settling: nil, now: start)
    }
    #expect(try database.count == 2000)
    let before = try place.bytes(of: "tokens-wal").count
    try database.save([Sample.entry(1, value)], settling: nil, now: start)
    #expect((4096...32 << 10).contains(try place.bytes(of: "tokens-wal").count - before))
  }

  @Test("A long journal is brought into the file")
  func journal() throws {
    let database = try place.database()
    for _ in 0..<250 { try database.save([Sample.entry(1)], settling: nil, now: start) }
    let size = try place.bytes().count
    try database.save([Sample.entry(2, [UInt8](repeating: 1, count: 50_000))], settling: nil, now: start)
    #expect(try place.bytes().count == size)
    try database.tidy(now: start)
    #expect(try place.bytes().count > size + 40_000)
  }

  @Test("A long journal that somebody reads is brought into the file when nobody does any more")
  func journalInUse() throws {
    let (database, other) = (try place.database(), try place.database())
    for _ in 0..<250 { try database.save([Sample.entry(1)], settling: nil, now: start) }
    try other.connection.run("BEGIN")
    _ = try other.count
    try database.save([Sample.entry(2, [UInt8](repeating: 1, count: 50_000))], settling: nil, now: start)
    try database.tidy(now: start)
    let size = try place.bytes().count
    #expect(size < 50_000)
    try other.connection.run("COMMIT")
    try database.tidy(now: start)
    #expect(try place.bytes().count > size + 40_000)
  }

  @Test("A transaction that fails changes nothing, and the next one works")
  func failures() throws {
    let database = try place.database()
    let connection = database.connection
    #expect(throws: SQLiteError.self) {
      try connection.transaction(.immediate) { () throws(SQLiteError) in
        try database.put(Sample.name(1), [1], expiry: start, replacing: .max)
        try connection.run("INSERT INTO entries (name, expiry, value) VALUES (NULL, 1, 1)")
      }
    }
    #expect(try database.count == 0)
    try database.save([Sample.entry(1)], settling: nil, now: start)
    #expect(try database.count == 1)
  }
}
