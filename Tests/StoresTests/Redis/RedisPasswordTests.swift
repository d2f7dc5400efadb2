import Basics
import BrokerCore
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Stores

/// Passwords that change while a store is open.
@Suite(.serialized, .timeLimit(.minutes(2))) struct RedisPasswordTests {
  /// A server with a user `broker` whose password is `old`, as is that in a file.
  private static func setUp() async throws -> (server: RedisServer, file: URL, settings: RedisSettings) {
    let server = try await RedisServer([
      "--user", "broker", "on", ">old", "~token-broker:*", "&token-broker:changes", "+@all",
    ])
    let file = server.directory.appendingPathComponent("password")
    try Data("old\n".utf8).write(to: file)
    var settings = server.settings
    (settings.user, settings.passwordFile) = ("broker", file.path)
    return (server, file, settings)
  }

  private static func replacePassword(on server: RedisServer) async throws {
    try await server.ask("ACL", "SETUSER", "broker", "resetpass", ">new")
    try await server.ask("CLIENT", "KILL", "USER", "broker")
  }

  private static func work(_ store: RedisStore, _ server: RedisServer) async throws {
    try await eventually("connected again") { (try? await store.load([StoreName(1)])) == [nil] }
    try await server.waitForSubscriptions(1)
  }

  @Test("A password that is replaced in its file and then on the server is used, without a restart")
  func fileFirst() async throws {
    let (server, file, settings) = try await Self.setUp()
    let log = LogLines()
    let store = try RedisStore(settings, log: log.logger)
    try await Self.work(store, server)
    try Data("new\n".utf8).write(to: file, options: .atomic)
    try await log.wait(for: "the store's password has changed")
    // The server does not have it yet, and the connection is none the worse for that.
    #expect(try await store.load([StoreName(1)]) == [nil])
    try await Self.replacePassword(on: server)
    try await Self.work(store, server)
  }

  @Test("One that is replaced on the server first is the reason given, and used as soon as the file has it")
  func serverFirst() async throws {
    let (server, file, settings) = try await Self.setUp()
    let store = try RedisStore(settings, log: .silent)
    try await Self.work(store, server)
    try await Self.replacePassword(on: server)
    try await eventually("refused") {
      store.condition.problem == "AUTH was refused: the user or the password is wrong (WRONGPASS)"
    }
    // Written in place, as `echo new > file` does.
    try Data("new\n".utf8).write(to: file)
    try await Self.work(store, server)
  }

  @Test("A new password ends the pause between two attempts")
  func hurry() async throws {
    let passwords = Watched<[String]>([])
    let fake = try FakeRedis(connection: { peer in
      while let command = peer.command() {
        if command[0] == "AUTH" { passwords.change { $0.append(command[1]) } }
        peer.send(command[0] == "AUTH" && command[1] == "old" ? "-WRONGPASS no\r\n" : "+OK\r\n")
      }
    })
    let directory = try RedisServer.makeDirectory()
    defer { try? FileManager.default.removeItem(at: directory) }
    let file = directory.appendingPathComponent("password")
    try Data("old".utf8).write(to: file)
    var settings = RedisSettings(.unix(path: fake.socket))
    settings.passwordFile = file.path
    settings.connectTimeout = .seconds(20)
    let store = try RedisStore(settings, log: .silent)
    // By now the pauses are of a second and more.
    try await passwords.wait(for: "attempts") { passwords.value.count >= 14 ? true : nil }
    let start = Instant.now
    try Data("new".utf8).write(to: file)
    try await passwords.wait(for: "the new one") {
      passwords.value.count { $0 == "new" } >= 2 ? true : nil
    }
    #expect(start.duration(to: .now) < .seconds(1))
    withExtendedLifetime(store) {}
  }

  @Test("A connection that is asked to log in again is made anew, with the password as it is now")
  func demanded() async throws {
    let passwords = Watched<[String]>([])
    let fake = try FakeRedis { command, peer in
      switch command[0] {
      case "AUTH":
        passwords.change { $0.append(command[1]) }
        peer.send("+OK\r\n")
      default: peer.send(passwords.value.contains("new") ? "*1\r\n$-1\r\n" : "-NOAUTH Authentication required.\r\n")
      }
    }
    let directory = try RedisServer.makeDirectory()
    defer { try? FileManager.default.removeItem(at: directory) }
    let file = directory.appendingPathComponent("password")
    try Data("old".utf8).write(to: file)
    var settings = fake.settings
    settings.passwordFile = file.path
    (settings.timeout, settings.connectTimeout) = (.seconds(20), .seconds(20))
    let store = try RedisStore(settings, log: .silent)
    try await eventually("connected") { store.condition.problem == nil }
    try Data("new".utf8).write(to: file)
    await #expect(throws: StoreError("MGET was refused: it demands a password (NOAUTH)", isRefusal: true)) {
      try await store.load([StoreName(1)])
    }
    try await eventually("logged in") { (try? await store.load([StoreName(1)])) == [nil] }
  }

  @Test("A file that cannot be read is the reason given")
  func missing() async throws {
    let (server, file, settings) = try await Self.setUp()
    let store = try RedisStore(settings, log: .silent)
    try await Self.work(store, server)
    try FileManager.default.removeItem(at: file)
    try await server.ask("CLIENT", "KILL", "USER", "broker")
    try await eventually("known") { store.condition.problem == "\(file.path): No such file or directory" }
    try Data("old".utf8).write(to: file)
    try await Self.work(store, server)
  }
}
