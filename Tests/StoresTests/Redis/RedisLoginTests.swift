import Basics
import Foundation
import OAuth
import IO
import TestSupport
import Testing
import BrokerCore

@testable import Stores

/// Passwords, users, rights and certificates.
@Suite(.serialized, .timeLimit(.minutes(2))) struct RedisLoginTests {
  init() { ThisProcess.ignoreFailingWrites() }

  /// A server with TLS beside its socket, and certificates.
  private static func secureServer() async throws -> (server: RedisServer, port: UInt16) {
    let directory = try RedisServer.makeDirectory()
    try await RedisServer.makeCertificates(in: directory)
    let port = try RedisServer.freePort()
    let server = try await RedisServer(
      [
        "--tls-port", "\(port)", "--tls-cert-file", "server.pem", "--tls-key-file", "server.key", "--tls-ca-cert-file",
        "ca.pem",
      ], in: directory)
    return (server, port)
  }

  private func problem(_ settings: RedisSettings) async throws -> String {
    let store = try RedisStore(settings, log: .silent)
    let error = await #expect(throws: StoreError.self) { try await store.load([StoreName(1)]) }
    #expect(store.condition.problem != nil)
    return error?.reason ?? ""
  }

  private func works(_ settings: RedisSettings) async throws {
    let store = try RedisStore(settings, log: .silent)
    let claim = try #require(try await store.claim(StoreName(1), for: .seconds(60), loading: [StoreName(1)]).claim)
    #expect(try await store.renew(claim, for: .seconds(60)))
    let entry = StoreEntry(name: StoreName(1), value: Array(0...255), lifetime: .seconds(60))
    try await store.save([entry], settling: claim)
    try await store.save([entry], settling: nil)
    #expect(try await store.load([StoreName(1)]) == [Array(0...255)])
  }

  @Test("The right password opens the server, with the default user named or not")
  func password() async throws {
    let server = try await RedisServer(["--requirepass", "p@ss wörd"])
    var settings = server.anonymousSettings
    settings.password = Secret("p@ss wörd".utf8)
    try await works(settings)
    settings.user = "default"
    try await works(settings)
  }

  @Test("A wrong password and a missing one are refused with a reason each")
  func wrongPassword() async throws {
    let server = try await RedisServer(["--requirepass", "p@ss wörd"])
    var settings = server.anonymousSettings
    #expect(try await problem(settings) == "the connection was refused: it demands a password (NOAUTH)")
    settings.password = Secret("wrong".utf8)
    #expect(try await problem(settings) == "AUTH was refused: the user or the password is wrong (WRONGPASS)")
  }

  @Test("A password that the server does not expect is refused with a reason")
  func unexpectedPassword() async throws {
    let server = try await RedisServer()
    var settings = server.anonymousSettings
    settings.password = Secret("s3cret".utf8)
    #expect(try await problem(settings) == "AUTH was refused: the password is wrong, or none is expected (ERR)")
  }

  @Test("A user that is not there is refused with a reason")
  func unknownUser() async throws {
    let server = try await RedisServer()
    var settings = server.settings
    settings.user = "nobody"
    #expect(try await problem(settings) == "AUTH was refused: the user or the password is wrong (WRONGPASS)")
  }

  @Test("A missing database and too many clients are refused with a reason each")
  func refusals() async throws {
    let server = try await RedisServer(["--maxclients", "4"])
    var settings = server.anonymousSettings
    settings.database = 99
    #expect(try await problem(settings) == "SELECT 99 was refused: there is no such database (ERR)")
    settings.database = 0
    let first = try RedisStore(settings, log: .silent)
    let second = try RedisStore(settings, log: .silent)
    _ = try await first.load([StoreName(1)])
    _ = try await second.load([StoreName(1)])
    try await eventually("full") { try await server.ask("PING").contains("max number of clients") }
    let reason = try await problem(settings)
    #expect(reason == "the connection was refused: it has as many clients as it may have (ERR)")
  }

  @Test("Settings that contradict each other are refused at once")
  func impossible() throws {
    let socket = RedisSettings(.unix(path: "/nowhere"))
    func error(_ change: (inout RedisSettings) -> Void) -> String? {
      var settings = socket
      change(&settings)
      return #expect(throws: StoreError.self) { try RedisStore(settings, log: .silent) }?.reason
    }
    #expect(error { $0.user = "u" } == "there is a user but no password")
    #expect(error { $0.keyFile = "k" } == "a certificate needs its key, and a key its certificate")
    let missing = error {
      $0.usesTLS = true
      $0.caFile = "/nowhere/ca.pem"
    }
    #expect(missing?.contains("/nowhere/ca.pem") == true)
  }

  @Test("With TLS the server must prove its name, by a CA that is trusted, and may ask for a certificate")
  func tls() async throws {
    let (server, port) = try await Self.secureServer()
    func file(_ name: String) -> String { server.directory.appendingPathComponent(name).path }
    var settings = server.anonymousSettings
    settings.server = .tcp(host: "127.0.0.1", port: port)
    settings.usesTLS = true
    settings.caFile = file("ca.pem")
    // The server asks for a certificate by default.
    #expect(try await problem(settings).hasPrefix("TLS: "))
    settings.certificateFile = file("client.pem")
    settings.keyFile = file("client.key")
    try await works(settings)
    settings.server = .tcp(host: "localhost", port: port)
    try await works(settings)
    var other = settings
    other.server = .tcp(host: "127.0.0.2", port: port)
    #expect(try await problem(other) == "TLS: the peer's certificate: IP address mismatch")
    other = settings
    other.caFile = nil
    #expect(try await problem(other).hasPrefix("TLS: the peer's certificate: "))
    other.caFile = file("other.pem")
    #expect(try await problem(other).hasPrefix("TLS: the peer's certificate: "))
    other = settings
    (other.certificateFile, other.keyFile) = (file("outsider.pem"), file("outsider.key"))
    #expect(try await problem(other).hasPrefix("TLS: "))
    try await server.ask("CONFIG", "SET", "tls-auth-clients", "no")
    settings.certificateFile = nil
    settings.keyFile = nil
    try await works(settings)
  }

  @Test("A client without TLS cannot use a port with TLS, and the other way round")
  func mismatch() async throws {
    let (server, port) = try await Self.secureServer()
    var settings = server.anonymousSettings
    settings.server = .tcp(host: "127.0.0.1", port: port)
    var hasty = settings
    hasty.timeout = .seconds(1)
    #expect(try await !problem(hasty).isEmpty)
    let plain = try RedisServer.freePort()
    try await server.ask("CONFIG", "SET", "port", "\(plain)")
    settings.server = .tcp(host: "127.0.0.1", port: plain)
    try await works(settings)
    // Either side waits for more of what it cannot read, so only the time-out ends it.
    hasty.server = settings.server
    hasty.usesTLS = true
    hasty.caFile = server.directory.appendingPathComponent("ca.pem").path
    #expect(try await !problem(hasty).isEmpty)
  }

  @Test("A host without an address is the reason given")
  func unknownHost() async throws {
    var settings = RedisSettings(.tcp(host: "host.invalid", port: 6379))
    settings.timeout = .seconds(20)
    #expect(try await problem(settings).contains("no address for the host"))
  }
}
