import BrokerCore
import Foundation
import Glibc
import TestSupport
import Testing

@testable import Stores
@testable import store_writer

/// The file store among unsafe directories, full disks, and other processes that keep it waiting.
@Suite(.timeLimit(.minutes(1))) struct FileStoreTroubleTests {
  private let place: StorePlace

  init() throws { place = try StorePlace() }

  enum Obstacle: String, CaseIterable {
    case link = "it is a symbolic link"
    case directory = "it is a directory, not the path of a file in one"
    case pipe = "it is no regular file"
  }

  @Test("Something else than a file is left alone, and the store waits until it is gone", arguments: Obstacle.allCases)
  func obstacles(_ obstacle: Obstacle) async throws {
    let files = FileManager.default
    let target = place.directory + "/target"
    #expect(files.createFile(atPath: target, contents: Data(Sample.file([1]))))
    switch obstacle {
    case .link: try files.createSymbolicLink(atPath: place.path, withDestinationPath: target)
    case .directory: try files.createDirectory(atPath: place.path, withIntermediateDirectories: false)
    case .pipe: try #require(unsafe mkfifo(place.path, 0o600) == 0)
    }
    try await place.withStore { store in
      #expect(store.condition.problem == obstacle.rawValue)
      await #expect(throws: StoreError(obstacle.rawValue)) { try await store.load([Sample.name(1)]) }
      await #expect(throws: StoreError(obstacle.rawValue)) { try await store.save([Sample.entry(1)], settling: nil) }
      #expect(try place.names == ["target", "tokens", "tokens.lock"])
      #expect(try place.bytes(of: "target") == Sample.file([1]))
      try files.removeItem(atPath: place.path)
      try await place.lines.wait(for: "the store is open")
      #expect(store.condition.problem == nil)
      try await store.save([Sample.entry(1)], settling: nil)
    }
    #expect(place.lines.warnings.count == 1)
  }

  @Test("A directory that others can write to is not used until they cannot")
  func openDirectory() async throws {
    try place.setMode(0o777, of: place.directory)
    try await place.withStore { store in
      let problem = "others than its owner can write to its directory (mode 0777)"
      #expect(store.condition.problem == problem)
      await #expect(throws: StoreError(problem)) {
        try await store.claim(Sample.name(1), for: .seconds(1), loading: [])
      }
      #expect(try place.names == [])
      #expect(place.lines.contain("warning the store cannot be used reason=\(problem) store=file:\(place.path)"))
      try place.setMode(0o700, of: place.directory)
      try await place.lines.wait(for: "the store is open")
      let found = try await store.load([Sample.name(1)])
      #expect(found == [nil])
    }
  }

  @Test("A missing directory is waited for")
  func missingDirectory() async throws {
    let directory = place.directory + "/later"
    let store = FileStore(path: directory + "/tokens", log: place.lines.logger)
    defer { store.close() }
    #expect(store.condition.problem == "its directory: open: No such file or directory")
    try FileManager.default.createDirectory(
      atPath: directory, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    try await place.lines.wait(for: "the store is open")
    #expect(store.condition.problem == nil)
  }

  @Test("While it cannot be written it is read, writes fail at once, and what is lost can be given back later")
  func unwritable() async throws {
    try await place.withStore { store in
      try await store.save([Sample.entry(1)], settling: nil)
      let other = try place.database()
      try other.connection.run("BEGIN IMMEDIATE")
      let problem = StoreError("it cannot be written: database is locked", isRefusal: true)
      for number in 2...5 as ClosedRange<UInt8> {
        await #expect(throws: problem) { try await store.save([Sample.entry(number)], settling: nil) }
        await #expect(throws: problem) { try await store.claim(Sample.name(9), for: .seconds(3), loading: []) }
      }
      #expect(store.condition.problem == nil && store.condition.can(.load))
      let reason = problem.reason
      #expect(store.condition.refusals == [.claim: reason, .save: reason, .remove: reason])
      #expect(try await store.load([1, 2].map(Sample.name)) == [[1, 2, 3], nil])
      try other.connection.run("ROLLBACK")
      for await _ in store.recoveries { break }
      #expect(store.condition.refusals.isEmpty)
      try await store.save([Sample.entry(2)], settling: nil)
    }
    #expect(place.lines.warnings.count == 1)
    #expect(place.lines.count(of: "info the store can be used again") == 1)
  }

  @Test("A file that another process has for a moment fails only those that met it")
  func busyOnce() async throws {
    try await place.withStore { store in
      let other = try place.database()
      for number in 1...3 as ClosedRange<UInt8> {
        try other.connection.run("BEGIN IMMEDIATE")
        await #expect(throws: StoreError("it cannot be written: database is locked", isRefusal: true)) {
          try await store.save([Sample.entry(number)], settling: nil)
        }
        try other.connection.run("ROLLBACK")
        #expect(store.condition.refusals.isEmpty)
        try await store.save([Sample.entry(number)], settling: nil)
      }
    }
    #expect(place.lines.warnings.isEmpty)
  }

  @Test("An operation that takes too long fails, those after it fail at once, and a claim that comes late is given up")
  func stuck() async throws {
    try await place.withStore(timeout: .milliseconds(250)) { store in
      store.queue.suspend()
      let late = StoreError("no answer within 0.25 seconds")
      let operations = [
        Task { _ = try await store.claim(Sample.name(1), for: .seconds(3), loading: []) },
        Task { try await store.save([Sample.entry(2)], settling: nil) },
      ]
      for operation in operations { #expect(await operation.result.isFailure) }
      await #expect(throws: late) { try await store.load([Sample.name(1)]) }
      #expect(store.condition.problem == late.reason)
      store.queue.resume()
      for await _ in store.recoveries { break }
      #expect(store.condition.problem == nil)
      // What was saved late is saved all the same.
      let found = try await store.load([Sample.name(2)])
      let claimed = try place.database().claimed(now: 0)
      #expect(found == [[1, 2, 3]] && claimed.isEmpty)
    }
    #expect(place.lines.warnings.count == 1)
  }

  @Test("A look-up that took too long alone is over as well once the disk answers")
  func stuckLoad() async throws {
    try await place.withStore(timeout: .milliseconds(50)) { store in
      store.queue.suspend()
      await #expect(throws: StoreError("no answer within 0.05 seconds")) { try await store.load([Sample.name(1)]) }
      store.queue.resume()
      for await _ in store.recoveries { break }
      #expect(store.condition.problem == nil)
    }
  }

  @Test("Another process is waited for no longer than callers wait, however long that is")
  func timeout() throws {
    for (timeout, expected) in [(10, 6), (250, 150), (5000, 150)] as [(Int, Int64)] {
      place.open().close()
      let database = try StoreDatabase(place.path, timeout: .milliseconds(timeout))
      #expect(try database.connection.number("PRAGMA busy_timeout") == expected)
    }
  }

  @Test(
    "A disk that is full leaves the file as it was",
    .disabled(if: Sanitizer.isOn, "the thread sanitizer writes files of its own"))
  func diskFull() async throws {
    place.open().close()
    // Files may grow to 100 KiB (in blocks of 512 bytes), which is a few of the values.
    let child = try ChildProcess(
      "sh", ["-c", "trap '' XFSZ; ulimit -f 200; exec \"$0\" \"$@\"", StorePlace.writer, place.path, "save", "0"])
    _ = try await child.wait(for: "full disk") {
      $0.output.split(separator: "\n").count { $0.hasSuffix("lost") } >= 20 ? true : nil
    }
    child.signal(SIGKILL)
    try await child.end()
    let saved = child.output.split(separator: "\n").compactMap { $0.hasSuffix("saved") ? Int($0.dropLast(6)) : nil }
    #expect(child.errors.contains("it cannot be written: "))
    try await place.withStore { store in
      let last = try #require(saved.last)
      #expect(try await place.number(last, in: store) == last)
    }
    #expect(place.lines.warnings.isEmpty)
  }

  @Test("What cannot be made for lack of room is tried again, and the file that was there stays until then")
  func noRoomToReplace() async throws {
    let former = Sample.file([1, 2, 3])
    try place.write(former)
    let child = try ChildProcess(
      "sh", ["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\"", StorePlace.writer, place.path, "save", "0"])
    try await child.end()
    #expect(child.output == "refused\n")
    #expect(child.errors.contains("it cannot be written"))
    #expect(try place.bytes() == former)
    try await place.withStore { store in
      let found = try await store.load([Sample.name(1)])
      #expect(found == [[1, 7, 1]])
    }
  }
}

extension Result {
  fileprivate var isFailure: Bool { if case .failure = self { true } else { false } }
}
