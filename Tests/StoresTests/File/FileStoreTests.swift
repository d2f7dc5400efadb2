import Basics
import BrokerCore
import Foundation
import TestSupport
import Testing

@testable import Stores

@Suite(.timeLimit(.minutes(1))) struct FileStoreTests {
  private let place: StorePlace

  init() throws { place = try StorePlace() }

  @Test("The next process finds all that one has saved, and nothing else")
  func roundTrip() async throws {
    let long = [UInt8](repeating: 5, count: StoreDatabase.maxValueBytes)
    try await place.withStore { store in
      #expect(store.condition.location == "file:\(place.path)")
      #expect(store.condition.problem == nil && store.condition.notice == nil)
      try await store.save([Sample.entry(1), Sample.entry(2)], settling: nil)
      try await store.save([Sample.entry(3, long), Sample.entry(1, [9])], settling: nil)
      let found = try await store.load([1, 2, 3].map(Sample.name))
      #expect(found == [[9], Sample.entry(2).value, long])
    }
    try await place.withStore { store in
      let found = try await store.load([3, 2, 1, 4].map(Sample.name))
      #expect(found == [long, Sample.entry(2).value, [9], nil])
      #expect(place.lines.contain("info the store is open store=file:\(place.path) values=3"))
    }
    #expect(try place.names == ["tokens", "tokens.lock"])
    #expect(place.lines.warnings.isEmpty)
  }

  @Test("What is removed is gone for the next process, too")
  func removal() async throws {
    try await place.withStore { store in
      try await store.save([Sample.entry(1), Sample.entry(2)], settling: nil)
      try await store.remove([Sample.name(1), Sample.name(9)])
    }
    try await place.withStore { store in
      let found = try await store.load([1, 2].map(Sample.name))
      #expect(found == [nil, Sample.entry(2).value])
    }
  }

  @Test("A count grows by what each process adds, and is never less than one knows")
  func counts() async throws {
    func count(_ store: FileStore, _ adding: Int, _ atLeast: Int) async throws -> Int {
      try await store.count(Sample.name(1), adding: adding, atLeast: atLeast, lifetime: .seconds(60))
    }
    try await place.withStore { store in
      let first = try await count(store, 0, 0)
      let found = try await store.load([Sample.name(1)])
      #expect(first == 0 && found == [nil])
      let totals = [try await count(store, 2, 0), try await count(store, 3, 1), try await count(store, 1, 100)]
      #expect(totals == [2, 5, 101])
    }
    try await place.withStore { store in
      let total = try await count(store, 0, 7)
      #expect(total == 101)
      for value in ["no number", "-5", "\(Int.max)"] {
        try await store.save([Sample.entry(1, Array(value.utf8))], settling: nil)
        let total = try await count(store, 1, 4)
        #expect(total >= 5)
      }
    }
  }

  @Test("A lifetime is written as a date, so that it goes on in the next process")
  func lifetimes() async throws {
    try await place.withStore { store in
      try await store.save([Sample.entry(1, lifetime: .seconds(1000))], settling: nil)
    }
    let expiry = try place.database().connection.number("SELECT expiry FROM entries")
    #expect((900...1000).contains(Double(expiry) / 1000 - WallClock.now))
  }

  @Test("Only the owner can read the files, and one that others can read is closed to them")
  func modes() async throws {
    place.open().close()
    try place.setMode(0o644, of: place.path)
    try await place.withStore { store in
      #expect(place.lines.contain("info the store's file was open to others, and is so no more mode=0644"))
      try await store.save([Sample.entry(2)], settling: nil)
      #expect(try place.names == ["tokens", "tokens-shm", "tokens-wal", "tokens.lock"])
      for name in try place.names { #expect(try place.mode(of: name) == 0o600) }
    }
  }

  @Test("Stores that have one file open share what is in it, and its claims")
  func sharing() async throws {
    let (first, second) = (place.open(), place.open())
    defer {
      first.close()
      second.close()
    }
    try await first.save([Sample.entry(2)], settling: nil)
    let granted = try await first.claim(Sample.name(1), for: .seconds(3), loading: [Sample.name(2)])
    guard case .granted(let claim) = granted.outcome else { throw POSIXError(.EBUSY) }
    #expect(granted.values == [[1, 2, 3]])
    let taken = try await second.claim(Sample.name(1), for: .seconds(3), loading: [Sample.name(2), Sample.name(1)])
    guard case .taken(let left) = taken.outcome else { throw POSIXError(.EBUSY) }
    #expect(left > .zero && left <= .seconds(3) && taken.values == [[1, 2, 3], nil])
    #expect(try await first.renew(claim, for: .seconds(3)))

    // Far longer than a lease: only the claim that is given up ends it.
    let waiter = Task { await second.waitForChange(of: Sample.name(1), until: Instant.now.advanced(by: .seconds(50))) }
    try await first.save([Sample.entry(1, [7])], settling: claim)
    await waiter.value
    #expect(try await second.load([Sample.name(1)]) == [[7]])
    #expect(try await !first.renew(claim, for: .seconds(3)))
  }

  @Test("Who waits for a claim waits no longer than told, nor for a store that is closed")
  func waiting() async throws {
    let store = place.open()
    guard case .granted = try await store.claim(Sample.name(1), for: .seconds(60), loading: []).outcome else {
      throw POSIXError(.EBUSY)
    }
    let deadline = Instant.now.advanced(by: .milliseconds(60))
    await store.waitForChange(of: Sample.name(1), until: deadline)
    #expect(Instant.now >= deadline)
    let waiter = Task { await store.waitForChange(of: Sample.name(1), until: Instant.now.advanced(by: .seconds(50))) }
    store.close()
    await waiter.value
  }

  @Test("A value that is empty or too long is refused, and nothing of that call is saved", arguments: [0, 65537])
  func valueSizes(_ size: Int) async throws {
    try await place.withStore { store in
      let entries = [Sample.entry(1), Sample.entry(2, [UInt8](repeating: 0, count: size))]
      await #expect(throws: StoreError("a value is empty or over 64 KiB")) {
        try await store.save(entries, settling: nil)
      }
      let found = try await store.load([Sample.name(1)])
      #expect(found == [nil])
    }
  }

  @Test("A store that was closed refuses every call")
  func closed() async throws {
    let store = place.open()
    store.close()
    store.close()
    await #expect(throws: StoreError("it is closed")) { try await store.load([]) }
    await #expect(throws: StoreError("it is closed")) { try await store.save([Sample.entry(1)], settling: nil) }
    #expect(try place.names == ["tokens", "tokens.lock"])
  }

  @Test("No log line has a name or a value in it")
  func silence() async throws {
    let secret = Array("never-to-be-logged".utf8)
    try place.write(Sample.file([1]) + secret)
    try await place.withStore { store in
      let other = try place.database()
      try await store.save([Sample.entry(65, secret)], settling: nil)
      try other.connection.run("BEGIN IMMEDIATE")
      for _ in 0..<3 { _ = try? await store.save([Sample.entry(65, secret)], settling: nil) }
      try other.connection.run("ROLLBACK")
    }
    #expect(place.lines.warnings.count == 2)
    for text in ["never", "AAAA", "65, 65", "110, 101"] { #expect(!place.lines.contain(text)) }
  }
}
