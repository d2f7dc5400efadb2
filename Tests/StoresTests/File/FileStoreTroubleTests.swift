import Foundation
import Glibc
import Testing
import TestSupport
import BrokerCore

@testable import Stores
@testable import store_writer

/// The file store among damaged files, unsafe directories, full disks and other processes.
@Suite(.timeLimit(.minutes(1))) struct FileStoreTroubleTests {
  private let place: StorePlace

  init() throws { place = try StorePlace() }

  /// The program of Tests/StoreWriter.
  static var writer: String {
    let tests = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    return tests.deletingLastPathComponent().appendingPathComponent("store-writer").path
  }

  private static let recordBytes = FileFormat.overheadBytes + 3

  struct Damaged: CustomTestStringConvertible {
    let testDescription: String
    let bytes: [UInt8]
    let reason: String
    /// How many records are still good.
    var kept = 0

    static let sound = Sample.file([1, 2, 3])

    static func cut(_ length: Int, kept: Int = 0) -> Damaged {
      Damaged(
        testDescription: "cut at \(length)", bytes: Array(sound.prefix(length)),
        reason: length < 8 ? "it is no store of token-broker" : "it is cut short", kept: kept)
    }

    static func changed(_ place: Int, _ bytes: [UInt8], _ reason: String, kept: Int = 0) -> Damaged {
      var file = sound
      file.replaceSubrange(place..<place + bytes.count, with: bytes)
      return Damaged(testDescription: "changed at \(place)", bytes: file, reason: reason, kept: kept)
    }
  }

  @Test(
    "A damaged or foreign file is set aside, what is whole in it is kept, and the store goes on",
    arguments: [
      .cut(0), .cut(7), .cut(8), .cut(12), .cut(16), .cut(16 + 32), .cut(16 + 40), .cut(16 + 44), .cut(16 + 46),
      .cut(16 + 47, kept: 1), .cut(16 + 93, kept: 1), .cut(16 + 94, kept: 2), .cut(16 + 140, kept: 2),
      .changed(0, [0], "it is no store of token-broker"), .changed(8, [0], "it is no store of token-broker"),
      .changed(12, [2], "there is more in it than its header says", kept: 2),
      .changed(12, [255, 255, 255, 255], "it is cut short", kept: 3),
      .changed(16 + 40, [0, 0, 0, 128], "a record in it has an impossible length"),
      .changed(16 + 47, [UInt8](repeating: 1, count: 32), "a name in it occurs twice", kept: 1),
      Damaged(
        testDescription: "a foreign file", bytes: Array("{\"tokens\": []}".utf8),
        reason: "it is no store of token-broker"
      ),
      Damaged(
        testDescription: "more behind it", bytes: Damaged.sound + [0],
        reason: "there is more in it than its header says",
        kept: 3),
    ] as [Damaged])
  func damage(_ damaged: Damaged) async throws {
    try place.write(damaged.bytes)
    let kept: [[UInt8]?] = [1, 2, 3].map { $0 <= damaged.kept ? [UInt8($0), 7, UInt8($0)] : nil }
    let names = [1, 2, 3].map(Sample.name)
    try await place.withStore { store in
      #expect(store.condition.problem == nil)
      #expect(try store.load(names) == kept)
      try store.save([Sample.entry(4)], settling: nil)
    }
    let aside = try place.setAside
    #expect(aside.count == 1)
    #expect(try place.bytes(of: try #require(aside.first)) == damaged.bytes)
    #expect(aside.first?.wholeMatch(of: /tokens\.corrupt-\d{8}T\d{6}Z/) != nil)
    #expect(place.lines.warnings.count == 1)
    #expect(place.lines.contain("the store's file is set aside moved_to=\(place.directory)/\(aside.first ?? "")"))
    #expect(place.lines.contain("reason=\(damaged.reason) store=file:\(place.path) values_kept=\(damaged.kept)"))
    try await place.withStore { store in
      let found = try store.load(names + [Sample.name(4)])
      #expect(found == kept + [[1, 2, 3]])
    }
    #expect(place.lines.warnings.count == 1)
  }

  @Test("The sound values of a damaged file are written to a new one without being saved again")
  func rescue() async throws {
    try place.write(Damaged.cut(16 + 93).bytes)
    try await place.withStore { _ in }
    #expect(FileFormat.parse(try place.bytes()).records.map(\.name) == [Sample.name(1)])
  }

  @Test("A newer broker's file is moved aside, under a name with its version")
  func newer() async throws {
    let bytes = Damaged.changed(8, [2], "").bytes
    try place.write(bytes)
    try await place.withStore { store in
      let found = try store.load([Sample.name(1)])
      #expect(found == [nil])
      try store.save([Sample.entry(1)], settling: nil)
    }
    #expect(try place.names == ["tokens", "tokens.lock", "tokens.version-2"])
    #expect(try place.bytes(of: "tokens.version-2") == bytes)
    #expect(place.lines.contain("reason=a newer token-broker has written it (version 2)"))
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

  @Test("A file that is larger than any of ours is set aside without being read")
  func size() async throws {
    try place.write(Sample.file([1]))
    try #require(unsafe truncate(place.path, StoreFile.maxBytes + 1) == 0)
    try await place.withStore { store in
      let found = try store.load([Sample.name(1)])
      #expect(found == [nil])
    }
    #expect(place.lines.contain("reason=it is over 256 MiB"))
    #expect(try place.setAside.count == 1)
  }

  @Test("Another user's file is set aside", .enabled(if: geteuid() == 0, "only root can give files away"))
  func owner() async throws {
    try place.write(Sample.file([1]))
    try #require(unsafe chown(place.path, 12345, 12345) == 0)
    try await place.withStore { store in
      let found = try store.load([Sample.name(1)])
      #expect(found == [nil])
    }
    #expect(place.lines.contain("reason=it belongs to user 12345"))
    #expect(try place.setAside.count == 1)
  }

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
      #expect(throws: StoreError(obstacle.rawValue)) { try store.load([Sample.name(1)]) }
      #expect(throws: StoreError(obstacle.rawValue)) { try store.save([Sample.entry(1)], settling: nil) }
      #expect(try place.names == ["target", "tokens", "tokens.lock"])
      #expect(try place.bytes(of: "target") == Sample.file([1]))
      try files.removeItem(atPath: place.path)
      try await place.lines.wait(for: "the store is open")
      #expect(store.condition.problem == nil)
      try store.save([Sample.entry(1)], settling: nil)
      #expect(store.flush())
    }
    #expect(place.lines.warnings.count == 1)
  }

  @Test("A directory that others can write to is not used until they cannot")
  func openDirectory() async throws {
    try place.setMode(0o777, of: place.directory)
    try await place.withStore { store in
      let problem = "others than its owner can write to its directory (mode 0777)"
      #expect(store.condition.problem == problem)
      #expect(throws: StoreError(problem)) { try store.claim(Sample.name(1), for: .seconds(1), loading: []) }
      #expect(try place.names == [])
      #expect(place.lines.contain("warning the store cannot be used reason=\(problem) store=file:\(place.path)"))
      try place.setMode(0o700, of: place.directory)
      try await place.lines.wait(for: "the store is open")
      #expect(try store.load([Sample.name(1)]) == [nil])
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

  /// Root may write everywhere, but not over a directory.
  @Test("While the file cannot be written memory serves and one warning is logged, and later it is written")
  func unwritable() async throws {
    try await place.withStore { store in
      try store.save([Sample.entry(1)], settling: nil)
      #expect(store.flush())
      let before = try place.bytes()
      try FileManager.default.createDirectory(atPath: place.path + ".new", withIntermediateDirectories: false)
      for number in 2...5 as ClosedRange<UInt8> {
        try store.save([Sample.entry(number)], settling: nil)
        #expect(!store.flush())
      }
      #expect(store.condition.problem == "it cannot be written: open: File exists")
      #expect(try store.load([Sample.name(1), Sample.name(5)]) == [[1, 2, 3], [1, 2, 3]])
      #expect(place.lines.warnings.count == 1)
      #expect(try place.bytes() == before)
      try FileManager.default.removeItem(atPath: place.path + ".new")
      #expect(store.flush())
      #expect(store.condition.problem == nil)
      #expect(FileFormat.parse(try place.bytes()).records.count == 5)
    }
    #expect(place.lines.warnings.count == 1)
  }

  @Test("A write that has failed is tried again without being asked for")
  func triedAgain() async throws {
    try await place.withStore { store in
      try FileManager.default.createDirectory(atPath: place.path + ".new", withIntermediateDirectories: false)
      try store.save([Sample.entry(1)], settling: nil)
      try await place.lines.wait(for: "the store cannot be used")
      try FileManager.default.removeItem(atPath: place.path + ".new")
      try await place.lines.wait(for: "the store can be used again")
      #expect(FileFormat.parse(try place.bytes()).records.count == 1)
    }
  }

  @Test(
    "A disk that is full leaves the file as it was",
    .disabled(if: Sanitizer.isOn, "the thread sanitizer writes files of its own"))
  func diskFull() async throws {
    // A file may grow to 4 KiB (8 blocks of 512 bytes), which is a few of the values.
    let child = try ChildProcess(
      "sh", ["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\"", Self.writer, place.path, "0"])
    _ = try await child.wait(for: "full disk") {
      $0.output.split(separator: "\n").count { $0.hasSuffix("lost") } >= 20 ? true : nil
    }
    child.signal(SIGKILL)
    try await child.end()
    let saved = child.output.split(separator: "\n").compactMap { $0.hasSuffix("saved") ? Int($0.dropLast(6)) : nil }
    #expect(
      child.errors.split(separator: "\n").count { $0.contains("it cannot be written: write: File too large") } == 1)
    let contents = FileFormat.parse(try place.bytes())
    #expect(contents.damage == nil)
    #expect(contents.records.compactMap { Numbered.number($0.value) }.max() ?? -1 >= (saved.last ?? 0))
  }

  @Test("A store waits until another one, in this process or another, has closed the same file")
  func lock() async throws {
    let first = place.open()
    try first.save([Sample.entry(1)], settling: nil)
    let child = try ChildProcess(Self.writer, [place.path, "0"])
    try await child.end()
    #expect(child.output == "refused\n")
    #expect(child.errors.contains("another process has it"))
    try await place.withStore { second in
      #expect(second.condition.problem == "another process has it")
      #expect(throws: StoreError("another process has it")) { try second.load([Sample.name(1)]) }
      #expect(throws: StoreError("another process has it")) {
        try second.save([Sample.entry(2)], settling: nil)
      }
      #expect(place.lines.warnings.count == 1)
      first.close()
      // The first store logged this at its start.
      try await place.lines.wait(for: "the store is open", times: 2)
      #expect(second.condition.problem == nil)
      let found = try second.load([Sample.name(1)])
      #expect(found == [[1, 2, 3]])
    }
    #expect(place.lines.warnings.count == 1)
  }

  @Test("A process that is killed leaves the file, with all that it had written, to the next")
  func takeover() async throws {
    let child = try ChildProcess(Self.writer, [place.path, "0"])
    _ = try await child.wait(for: "writes") { $0.output.contains("6 saved") ? true : nil }
    try await place.withStore { store in
      #expect(store.condition.problem == "another process has it")
      child.signal(SIGKILL)
      try await child.end()
      try await place.lines.wait(for: "the store is open")
      for number in 0...6 { #expect(try Self.number(number, in: store) >= number) }
    }
  }

  /// The number of the value that is in the place of entry `number`.
  static func number(_ number: Int, in store: FileStore) throws -> Int {
    let value = try #require(try store.load([Numbered.name(number % Numbered.slots)]).first ?? nil)
    return try #require(Numbered.number(value))
  }

  @Test("A lock file that was removed is made again, unless another store has made one")
  func lockRemoved() async throws {
    try await place.withStore { store in
      try FileManager.default.removeItem(atPath: place.path + ".lock")
      try store.save([Sample.entry(1)], settling: nil)
      #expect(store.flush())
      #expect(try place.names == ["tokens", "tokens.lock"])

      try FileManager.default.removeItem(atPath: place.path + ".lock")
      let other = place.open()
      try other.save([Sample.entry(2)], settling: nil)
      #expect(other.flush())
      let bytes = try place.bytes()
      try store.save([Sample.entry(3)], settling: nil)
      #expect(!store.flush())
      #expect(store.condition.problem == "another process has it")
      #expect(try place.bytes() == bytes)
      other.close()
    }
  }
}
