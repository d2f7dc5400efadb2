import Basics
import Foundation
import IO
import Synchronization
import Testing
import BrokerCore

@testable import Stores

@Suite(.timeLimit(.minutes(1))) struct FileStoreTests {
  private let place: StorePlace

  init() throws { place = try StorePlace() }

  @Test("The next process finds all that one has saved, and nothing else")
  func roundTrip() async throws {
    let long = [UInt8](repeating: 5, count: FileFormat.maxValueBytes)
    try await place.withStore { store in
      #expect(store.condition.location == "file:\(place.path)")
      #expect(store.condition.problem == nil)
      try store.save([Sample.entry(1), Sample.entry(2)], settling: nil)
      try store.save([Sample.entry(3, long), Sample.entry(1, [9])], settling: nil)
      #expect(try store.load([1, 2, 3].map(Sample.name)) == [[9], Sample.entry(2).value, long])
    }
    try await place.withStore { store in
      let found = try store.load([3, 2, 1, 4].map(Sample.name))
      #expect(found == [long, Sample.entry(2).value, [9], nil])
    }
    #expect(try place.names == ["tokens", "tokens.lock"])
    #expect(place.lines.warnings.isEmpty)
  }

  @Test("What is removed is gone for the next process, too")
  func removal() async throws {
    try await place.withStore { store in
      try store.save([Sample.entry(1), Sample.entry(2)], settling: nil)
      try store.remove([Sample.name(1), Sample.name(9)])
      #expect(try store.load([1, 2].map(Sample.name)) == [nil, Sample.entry(2).value])
    }
    try await place.withStore { store in
      let found = try store.load([1, 2].map(Sample.name))
      #expect(found == [nil, Sample.entry(2).value])
    }
  }

  @Test("A value that has expired in the file is not read, and not written again")
  func expiry() async throws {
    let past = Sample.file([1, 2], expiry: UInt64(WallClock.now * 1000) - 1)
    let ahead = Sample.file([3], expiry: UInt64(WallClock.now * 1000) + 60_000)
    var bytes: [UInt8] = []
    FileFormat.appendHeader(count: 3, to: &bytes)
    try place.write(bytes + past.dropFirst(16) + ahead.dropFirst(16))
    try await place.withStore { store in
      #expect(try store.load([1, 2, 3].map(Sample.name)) == [nil, nil, [3, 7, 3]])
      #expect(place.lines.contain("info the store is open store=file:\(place.path) values=1"))
      try store.save([Sample.entry(4)], settling: nil)
    }
    #expect(Set(FileFormat.parse(try place.bytes()).records.map(\.name)) == [Sample.name(3), Sample.name(4)])
  }

  @Test("A lifetime is written as a date, so that it goes on in the next process")
  func lifetimes() async throws {
    try await place.withStore { store in
      try store.save([Sample.entry(1, lifetime: .seconds(1000))], settling: nil)
    }
    let left = Double(try #require(FileFormat.parse(try place.bytes()).records.first).expiry) / 1000 - WallClock.now
    #expect((900...1000).contains(left))
  }

  @Test("A value that has expired when the file is written is left out")
  func expiredWhileHeld() throws {
    let now = Instant.now
    var values = StoredValues()
    for (number, life) in [(1, 10), (2, 20)] as [(UInt8, Int)] {
      values.set(Sample.name(number), to: .init(value: [1], expiresAt: now.advanced(by: .seconds(life))), now: now)
    }
    let file = try StoreFile(place.path, log: place.lines.logger)
    try file.write(values.entries, count: 1, now: now.advanced(by: .seconds(10)))
    let contents = FileFormat.parse(try place.bytes())
    #expect(contents.damage == nil)
    #expect(contents.records.map(\.name) == [Sample.name(2)])
  }

  @Test("A saved value is written to the disk without being asked for")
  func writesBehind() async throws {
    try await place.withStore { store in
      let (changes, continuation) = AsyncStream<Void>.makeStream()
      let watcher = try FileWatcher(place.path) { continuation.yield() }
      try store.save([Sample.entry(1)], settling: nil)
      for await _ in changes {
        if let bytes = try? place.bytes(), FileFormat.parse(bytes).records.count == 1 { break }
      }
      withExtendedLifetime(watcher) {}
    }
  }

  @Test("A burst of saves is one write, or two")
  func bursts() async throws {
    try await place.withStore { store in
      let events = Atomic(0)
      let watcher = try FileWatcher(place.path) { events.add(1, ordering: .relaxed) }
      for _ in 0..<500 { try store.save([Sample.entry(1)], settling: nil) }
      #expect(store.flush())
      // Each write is two events, and the watcher begins with one.
      #expect(events.load(ordering: .relaxed) < 50)
      withExtendedLifetime(watcher) {}
    }
  }

  @Test("Only the owner can read the file, and one that others can read is closed to them")
  func modes() async throws {
    try place.write(Sample.file([1]), mode: 0o644)
    try await place.withStore { store in
      #expect(try place.mode(of: "tokens") == 0o600)
      #expect(place.lines.contain("info the store's file was open to others, and is so no more mode=0644"))
      try store.save([Sample.entry(2)], settling: nil)
      #expect(store.flush())
      #expect(try place.mode(of: "tokens") == 0o600)
      #expect(try place.mode(of: "tokens.lock") == 0o600)
    }
  }

  @Test("A claim is always granted and kept, and comes with what is there")
  func claims() async throws {
    try await place.withStore { store in
      try store.save([Sample.entry(1)], settling: nil)
      let answers = try (0..<2).map { _ in
        try store.claim(Sample.name(9), for: .seconds(1), loading: [Sample.name(1), Sample.name(2)])
      }
      let fences: [UInt64] = try answers.map { answer in
        guard case .granted(let claim) = answer.outcome else { throw POSIXError(.EBUSY) }
        #expect(answer.values == [[1, 2, 3], nil])
        #expect(claim.name == Sample.name(9))
        #expect(try store.renew(claim, for: .seconds(1)))
        return claim.fence
      }
      #expect(fences[0] != fences[1])
      try store.save([], settling: StoreClaim(name: Sample.name(9), fence: fences[0]))
      let deadline = Instant.now.advanced(by: .milliseconds(30))
      await store.waitForChange(of: Sample.name(9), until: deadline)
      #expect(Instant.now >= deadline)
    }
  }

  @Test("A value that no file can hold is refused, and nothing of that call is saved", arguments: [0, 65537])
  func valueSizes(_ size: Int) async throws {
    try await place.withStore { store in
      #expect(throws: StoreError("a value is empty or over 64 KiB")) {
        try store.save(
          [Sample.entry(1), Sample.entry(2, [UInt8](repeating: 0, count: size))], settling: nil)
      }
      let found = try store.load([Sample.name(1)])
      #expect(found == [nil])
    }
  }

  @Test("A store that was closed refuses every call and writes nothing")
  func closed() throws {
    let store = place.open()
    store.close()
    #expect(throws: StoreError("it is closed")) { try store.load([]) }
    #expect(throws: StoreError("it is closed")) { try store.save([Sample.entry(1)], settling: nil) }
    #expect(try place.names == ["tokens.lock"])
  }

  @Test("No log line has a name or a value in it")
  func silence() async throws {
    let secret = Array("never-to-be-logged".utf8)
    try place.write(Sample.file([1]) + [0])
    try await place.withStore { store in
      try FileManager.default.createDirectory(atPath: place.path + ".new", withIntermediateDirectories: false)
      try store.save([Sample.entry(65, secret)], settling: nil)
      #expect(!store.flush())
    }
    #expect(place.lines.warnings.count == 2)
    for text in ["never", "AAAA", "65, 65", "110, 101"] { #expect(!place.lines.contain(text)) }
  }
}
