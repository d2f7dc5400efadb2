import Foundation
import Logging
import Stores
import TestSupport
import Testing

@testable import Settings

@Suite struct StoreSettingsTests {
  @Test("The timeout that is configured for a store in a file is that of the store")
  func fileTimeout() throws {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("store-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(
      atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let file = directory + "/c.yaml"
    try """
    auth0: {domain: a.test, clientId: a, clientSecret: "secret"}
    store: {url: 'file:\(directory)/tokens', timeout: 2s}
    """.write(toFile: file, atomically: true, encoding: .utf8)
    let configuration = try Configuration(from: .init(environment: ["BROKER_CONFIG": file], isTerminal: false))
    let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let opened = try configuration.store.open(log)
    let store = try #require(opened as? FileStore)
    defer { store.close() }
    #expect(store.timeout == .seconds(2))
  }
}
