import BrokerCore
import Foundation
import Glibc
import Logging
import Synchronization
import TestSupport
import Testing

@testable import Stores
@testable import store_writer

/// A directory of the test's own that goes with it, the path of a store in it, and what is logged of that.
final class StorePlace: Sendable {
  let directory: String
  let lines = LogLines()

  init() throws {
    var template = Array("/tmp/stores-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else { throw POSIXError(.EIO) }
    directory = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit {
    try? FileManager.default.removeItem(atPath: directory)
  }

  var path: String { directory + "/tokens" }

  /// Operations may take long, because the machine may be busy.
  func open(timeout: Duration = .seconds(30)) -> FileStore {
    FileStore(path: path, timeout: timeout, log: lines.logger)
  }

  /// Runs `body` with a store, which is closed afterwards.
  func withStore(timeout: Duration = .seconds(30), _ body: (FileStore) async throws -> Void) async throws {
    let store = open(timeout: timeout)
    defer { store.close() }
    try await body(store)
  }

  var names: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: directory).sorted() } }

  func bytes(of name: String = "tokens") throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: "\(directory)/\(name)")))
  }

  func write(_ bytes: [UInt8], mode: Int = 0o600) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    try setMode(mode, of: path)
  }

  func setMode(_ mode: Int, of path: String) throws {
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
  }

  func mode(of name: String) throws -> Int {
    let attributes = try FileManager.default.attributesOfItem(atPath: "\(directory)/\(name)")
    return try #require(attributes[.posixPermissions] as? Int)
  }

  /// A connection of the test's own to the store's file.
  func database() throws -> StoreDatabase { try StoreDatabase(path) }

  /// Takes the lock that brokers before 0.2 held for as long as they ran, and returns its descriptor.
  func lock() throws -> Int32 {
    let descriptor = unsafe Glibc.open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    try #require(descriptor >= 0 && flock(descriptor, LOCK_EX | LOCK_NB) == 0)
    return descriptor
  }

  func unlock(_ descriptor: Int32) { Glibc.close(descriptor) }

  /// The program of Tests/StoreWriter.
  static var writer: String {
    let tests = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    return tests.deletingLastPathComponent().appendingPathComponent("store-writer").path
  }

  /// The number of the value that is in the place of entry `number`.
  func number(_ number: Int, in store: FileStore) async throws -> Int {
    let value = try #require(try await store.load([Numbered.name(number % Numbered.slots)]).first ?? nil)
    return try #require(Numbered.number(value))
  }

  /// The name of the one file that was set aside.
  func onlySetAside() throws -> String {
    let names = try setAside
    #expect(names.count == 1)
    return try #require(names.first)
  }

  /// The names of files that were set aside.
  var setAside: [String] { get throws { try names.filter { $0.hasPrefix("tokens.corrupt-") } } }
}

/// The lines that were logged, each with its level, message and facts.
final class LogLines: Sendable {
  private let all = Mutex<[String]>([])

  var logger: Logger { Logger(label: "test") { _ in Handler(lines: self) } }

  var warnings: [String] { all.withLock { $0.filter { $0.hasPrefix("warning") } } }

  func contain(_ text: String) -> Bool { count(of: text) > 0 }

  /// How many lines have this in them.
  func count(of text: String) -> Int { all.withLock { $0.count { $0.contains(text) } } }

  /// Waits until so many lines have this in them.
  func wait(for text: String, times: Int = 1) async throws {
    try await eventually("\(times) × \"\(text)\" in the log") { count(of: text) >= times }
  }

  private struct Handler: LogHandler {
    let lines: LogLines
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
      let facts = metadata.merging(event.metadata ?? [:]) { $1 }.map { "\($0.key)=\($0.value)" }.sorted().joined(
        separator: " ")
      let line = "\(event.level) \(event.message) \(facts)"
      lines.all.withLock { $0.append(line) }
    }
  }
}

/// Short values under short names.
enum Sample {
  static func name(_ number: UInt8) -> StoreName { StoreName(repeatElement(number, count: 32)) }

  static func entry(_ number: UInt8, _ value: [UInt8] = [1, 2, 3], lifetime: Duration = .seconds(60)) -> StoreEntry {
    StoreEntry(name: name(number), value: value, lifetime: lifetime)
  }

  /// The bytes of a file as brokers before 0.2 wrote it, with these records, which expire far ahead unless `expiry` is
  /// given.
  static func file(_ numbers: [UInt8], expiry: UInt64 = 4_000_000_000_000) -> [UInt8] {
    var bytes = FileFormat.magic + [1, 0, 0, 0, UInt8(numbers.count), 0, 0, 0]
    for number in numbers {
      bytes += name(number).bytes + (0..<8).map { UInt8(truncatingIfNeeded: expiry >> ($0 * 8)) }
      bytes += [3, 0, 0, 0] + [number, 7, number]
    }
    return bytes
  }
}
