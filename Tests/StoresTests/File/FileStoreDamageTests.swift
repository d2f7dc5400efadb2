import BrokerCore
import Foundation
import IO
import TestSupport
import Testing

@testable import Stores

/// The file store among damaged, foreign and former files.
@Suite(.timeLimit(.minutes(2))) struct FileStoreDamageTests {
  private let place: StorePlace

  init() throws { place = try StorePlace() }

  private static func value(_ number: UInt8) -> [UInt8] { (0..<900).map { UInt8(truncatingIfNeeded: $0) ^ number } }

  /// Makes a store with sixty values, some of which have taken the place of others, and returns the bytes of its file.
  private func soundFile() async throws -> [UInt8] {
    try await place.withStore { store in
      for number in 1...60 as ClosedRange<UInt8> {
        try await store.save([Sample.entry(number, [1])], settling: nil)
        try await store.save([Sample.entry(number, Self.value(number))], settling: nil)
      }
    }
    return try place.bytes()
  }

  private func removeAll() throws {
    for name in try place.names { try FileManager.default.removeItem(atPath: "\(place.directory)/\(name)") }
  }

  /// Opens a store on what is there, uses it, and returns how many of the sixty values it has as they were.
  private func use(_ what: String) async throws -> Int {
    var kept = 0
    try await place.withStore { store in
      #expect(store.condition.problem == nil, "\(what)")
      for number in 1...60 as ClosedRange<UInt8> {
        // What was changed in a value is for its seal to find. What cannot be read is noticed by then, and mended.
        guard let found = try? await store.load([Sample.name(number)])[0] else { continue }
        if found == Self.value(number) { kept += 1 }
      }
      try await eventually("a save that succeeds: \(what)") {
        (try? await store.save([Sample.entry(200), Sample.entry(30, [3])], settling: nil)) != nil
      }
      let found = try await store.load([200, 30].map(Sample.name))
      #expect(found == [[1, 2, 3], [3]], "\(what)")
    }
    return kept
  }

  @Test("Whatever byte of the file is changed, the store opens and goes on, with most of what was there")
  func flips() async throws {
    let sound = try await soundFile()
    var worst = 60
    for place in Array(stride(from: 0, to: 100, by: 7)) + Array(stride(from: 100, to: sound.count, by: 701)) {
      var bytes = sound
      bytes[place] ^= place.isMultiple(of: 2) ? 0xFF : 0x04
      try removeAll()
      try self.place.write(bytes)
      let kept = try await use("changed at \(place)")
      // Not the page with the names of the tables.
      if place >= 4096 { worst = min(worst, kept) }
    }
    // A page has four values.
    #expect(worst >= 50)
  }

  @Test("Wherever the file is cut off, the store opens and goes on")
  func cuts() async throws {
    let sound = try await soundFile()
    let lengths = [0, 1, 15, 16, 50, 99, 100, 101, 1000, 4095, 4096]
    for length in lengths + Array(stride(from: 5000, to: sound.count, by: 3001)) {
      try removeAll()
      try place.write(Array(sound.prefix(length)))
      _ = try await use("cut at \(length)")
      #expect(try place.setAside.count == (length == 0 ? 0 : 1), "cut at \(length)")
    }
  }

  @Test("Whatever byte of the journal is changed, and wherever it is cut off, the store opens and goes on")
  func journal() async throws {
    _ = try await soundFile()
    let store = place.open()
    for number in 1...20 as ClosedRange<UInt8> { try await store.save([Sample.entry(number)], settling: nil) }
    let files = try ["tokens", "tokens-wal", "tokens-shm"].map { ($0, try place.bytes(of: $0)) }
    store.close()
    let size = files[1].1.count
    for change in stride(from: 0, to: size, by: 4001) {
      for isCut in [true, false] {
        try removeAll()
        for (name, bytes) in files {
          var bytes = bytes
          if name == "tokens-wal" { if isCut { bytes.removeLast(size - change) } else { bytes[change] ^= 0xFF } }
          // As it is after a kill, or a copy.
          if name == "tokens-shm" && isCut { continue }
          try Data(bytes).write(to: URL(fileURLWithPath: "\(place.directory)/\(name)"))
        }
        _ = try await use("journal \(isCut ? "cut" : "changed") at \(change)")
      }
    }
    #expect(place.lines.warnings.isEmpty)
  }

  @Test("A damaged file is set aside as it was, which the log says, and the status until it is removed")
  func setAside() async throws {
    var bytes = try await soundFile()
    bytes.replaceSubrange(4096..<8192, with: [UInt8](repeating: 0x55, count: 4096))
    try place.write(bytes)
    let store = place.open()
    defer { store.close() }
    let aside = try place.onlySetAside()
    #expect(aside.wholeMatch(of: /tokens\.corrupt-\d{8}T\d{6}Z/) != nil)
    #expect(try place.bytes(of: aside) == bytes)
    #expect(place.lines.warnings.count == 1)
    let path = "\(place.directory)/\(aside)"
    #expect(place.lines.contain("warning the store's file is set aside moved_to=\(path) reason=it is damaged: "))
    #expect(store.condition.problem == nil)
    #expect(store.condition.notice?.hasSuffix("; it is now \(path)") == true)
    try FileManager.default.removeItem(atPath: path)
    #expect(store.condition.notice == nil)
  }

  @Test("Damage that shows while the store is used is mended meanwhile, and what brokers hold is asked for")
  func damageLater() async throws {
    // More than is held in memory.
    let names = (1...20).map { Sample.name($0) }
    let value = [UInt8](repeating: 1, count: StoreDatabase.maxValueBytes)
    try await place.withStore { store in
      for name in names {
        try await store.save([StoreEntry(name: name, value: value, lifetime: .seconds(60))], settling: nil)
      }
    }
    let store = place.open()
    defer { store.close() }
    let size = try place.bytes().count
    let file = try FileHandle(forUpdating: URL(fileURLWithPath: place.path))
    try file.seek(toOffset: 4096)
    // Not closed before the store is: that would end its locks.
    try file.write(contentsOf: Data(repeating: 0x55, count: size - 4096))
    try await eventually("a file that is set aside") {
      // Several at once, all of which find it: that is one file to be set aside.
      let loads = (0..<10).map { _ in Task { try await store.load(names) } }
      for load in loads { _ = await load.result }
      return try !place.setAside.isEmpty
    }
    for await _ in store.recoveries { break }
    #expect(store.condition.problem == nil && store.condition.notice != nil)
    #expect(try place.setAside.count == 1)
    try await store.save([Sample.entry(1)], settling: nil)
    #expect(try await store.load([Sample.name(1)]) == [[1, 2, 3]])
  }

  @Test("Damage that two processes have met is mended once, and the sound file stays")
  func damageMetTwice() async throws {
    try await place.withStore { store in try await store.save([Sample.entry(1)], settling: nil) }
    let file = StoreFile(path: place.path, timeout: .seconds(30), log: place.lines.logger)
    let status = try #require(try SystemCall.status(of: place.path))
    let suspicion = StoreFile.Suspicion(reason: "damaged", file: status)
    #expect(try file.open(distrusting: suspicion).aside != nil)
    #expect(try file.open(distrusting: suspicion).aside == nil)
    #expect(place.lines.warnings.count == 1)
  }

  @Test("A file that is moved away is noticed by the next operation, and the store goes on with a new one")
  func moved() async throws {
    let store = place.open()
    defer { store.close() }
    try await store.save([Sample.entry(1)], settling: nil)
    try FileManager.default.moveItem(atPath: place.path, toPath: place.path + ".away")
    await #expect(throws: StoreError("its file was moved or removed")) { try await store.load([Sample.name(1)]) }
    for await _ in store.recoveries { break }
    try await store.save([Sample.entry(2)], settling: nil)
    #expect(try await store.load([1, 2].map(Sample.name)) == [nil, [1, 2, 3]])
    #expect(try place.setAside.isEmpty)
  }

  // MARK: Files of others

  @Test("The file of an earlier broker is read once, and replaced by a database")
  func former() async throws {
    let past = Sample.file([4, 5], expiry: 1_000_000_000_000).dropFirst(16)
    var bytes = Sample.file([1, 2, 3]) + past
    bytes[12] = 5
    try place.write(bytes)
    for _ in 0..<2 {
      try await place.withStore { store in
        let found = try await store.load([1, 2, 3, 4].map(Sample.name))
        #expect(found == [[1, 7, 1], [2, 7, 2], [3, 7, 3], nil])
      }
    }
    #expect(try place.names == ["tokens", "tokens.lock"])
    #expect(place.lines.count(of: "info the store's file is a database now store=file:\(place.path) values=3") == 1)
    #expect(place.lines.warnings.isEmpty)
  }

  @Test(
    "A damaged file of an earlier broker is set aside, and what is whole in it is kept",
    arguments: [
      (8, 0), (12, 0), (16, 0), (16 + 46, 0), (16 + 47, 1), (16 + 93, 1), (16 + 94, 2), (16 + 140, 2), (158, 3),
    ])
  func formerDamaged(_ length: Int, _ kept: Int) async throws {
    let bytes = Array((Sample.file([1, 2, 3]) + [0]).prefix(length))
    try place.write(bytes)
    try await place.withStore { store in
      let found = try await store.load([1, 2, 3].map(Sample.name))
      #expect(found == [1, 2, 3].map { $0 <= kept ? [UInt8($0), 7, UInt8($0)] : nil })
    }
    #expect(try place.bytes(of: try place.onlySetAside()) == bytes)
    let reason = length == 158 ? "there is more in it than its header says" : "it is cut short"
    #expect(place.lines.contain("reason=\(reason) store=file:\(place.path) values_kept=\(kept)"))
  }

  @Test("While an earlier broker has its file, the store waits")
  func formerLock() async throws {
    try place.write(Sample.file([1]))
    let lock = try place.lock()
    let store = place.open()
    defer { store.close() }
    #expect(store.condition.problem == "another process has it")
    await #expect(throws: StoreError("another process has it")) { try await store.load([Sample.name(1)]) }
    #expect(try place.bytes() == Sample.file([1]))
    place.unlock(lock)
    for await _ in store.recoveries { break }
    #expect(try await store.load([Sample.name(1)]) == [[1, 7, 1]])
    #expect(place.lines.warnings.count == 1)
  }

  @Test("A newer broker's file is moved aside, under a name with its version")
  func newer() async throws {
    try await place.withStore { store in try await store.save([Sample.entry(1)], settling: nil) }
    try place.database().connection.run("PRAGMA user_version = 3")
    try await place.withStore { store in
      // Its tables are as ours by chance.
      let found = try await store.load([Sample.name(1)])
      #expect(found == [[1, 2, 3]])
    }
    #expect(try place.names == ["tokens", "tokens.lock", "tokens.version-3"])
    #expect(place.lines.contain("reason=a newer token-broker has written it (version 3)"))
  }

  @Test("Another program's file is set aside", arguments: [true, false])
  func foreign(_ isDatabase: Bool) async throws {
    try place.write(isDatabase ? [] : Array("{\"tokens\": []}".utf8))
    if isDatabase { try SQLiteConnection(place.path).run("CREATE TABLE entries (name TEXT)") }
    let bytes = try place.bytes()
    try await place.withStore { store in try await store.save([Sample.entry(1)], settling: nil) }
    #expect(try place.bytes(of: try place.onlySetAside()) == bytes)
    #expect(place.lines.contain(isDatabase ? "it is no store of token-broker" : "file is not a database"))
  }

  @Test("The last three of the files that were set aside are kept")
  func fewAside() async throws {
    let files = FileManager.default
    for year in 2001...2005 {
      #expect(files.createFile(atPath: "\(place.path).corrupt-\(year)0101T000000Z", contents: nil))
    }
    #expect(files.createFile(atPath: "\(place.directory)/others.corrupt-1", contents: nil))
    try place.write([1])
    try await place.withStore { _ in }
    #expect(try place.setAside.map { $0.prefix(19) }.prefix(2) == ["tokens.corrupt-2004", "tokens.corrupt-2005"])
    #expect(try place.setAside.count == 3)
    #expect(try place.names.contains("others.corrupt-1"))
  }

  @Test("Another user's file is set aside unread", .enabled(if: geteuid() == 0, "only root can give files away"))
  func owner() async throws {
    _ = try await soundFile()
    try #require(unsafe chown(place.path, 12345, 12345) == 0)
    try await place.withStore { store in
      let found = try await store.load([Sample.name(1)])
      #expect(found == [nil])
    }
    #expect(place.lines.contain("reason=it belongs to user 12345"))
    #expect(try place.setAside.count == 1)
  }
}
