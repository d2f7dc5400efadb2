import BrokerCore
import Foundation
import Logging
import Synchronization
import TestSupport
import Testing

@testable import Stores

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

  func open() -> FileStore { FileStore(path: path, log: lines.logger) }

  /// Runs `body` with a store, which is closed afterwards.
  func withStore(_ body: (FileStore) async throws -> Void) async throws {
    let store = open()
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

  /// The bytes of a file with these records, which expire far ahead unless `expiry` is given.
  static func file(_ numbers: [UInt8], expiry: UInt64 = 4_000_000_000_000) -> [UInt8] {
    var bytes: [UInt8] = []
    FileFormat.appendHeader(count: numbers.count, to: &bytes)
    for number in numbers {
      FileFormat.append(.init(name: name(number), expiry: expiry, value: [number, 7, number]), to: &bytes)
    }
    return bytes
  }
}
