import Foundation
import IO
import TestSupport
import Testing

@testable import Settings

/// What can never work, or not as it was meant, by the configurations that have it.
@Suite struct ConfigurationLintTests {
  /// A configuration behind a sound client, and what is to be said of it; nothing where nothing is.
  struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let text: String
    var environment: [String: String] = [:]
    /// Handed over in place of those configured.
    var listeners: [String]?
    /// Names of files that everybody can read.
    var readable: [String] = []
    /// The setting, its place, and parts of the message and the remedy.
    var expected: [(subject: String, place: String?, message: String, remedy: String)] = []
  }

  private static let key = String(repeating: "ab", count: 32)
  private static let tls = "tls: {certificateFile: DIR/server.crt, keyFile: DIR/server.key}"
  private static let mutual =
    "tls: {certificateFile: DIR/server.crt, keyFile: DIR/server.key, clientCAFile: DIR/authority.crt}"

  static let cases: [Case] = [
    Case(testDescription: "nothing but a client", text: ""),
    Case(
      testDescription: "an open door", text: "listen: 0.0.0.0:8080",
      expected: [("0.0.0.0:8080", "2:9", "whoever can connect here", "Name in callers")]),
    Case(
      testDescription: "a door with callers",
      text: "listen: 0.0.0.0:8080\ncallers: {a: {bearerSHA256: KEY, audiences: '*'}}"),
    Case(
      testDescription: "TLS that no listener has", text: tls,
      expected: [("tls.certificateFile", "2:24", "nothing is served by TLS", "https://")]),
    Case(
      testDescription: "a certificate without a listener with TLS",
      text: "callers: {a: {clientCertificate: 'dns:a', bearerSHA256: KEY, audiences: '*'}}",
      expected: [("callers.a.clientCertificate", "2:34", "no address of listen begins with https://", "clientCAFile")]),
    Case(
      testDescription: "a certificate without authorities, and no other proof",
      text: "listen: https://127.0.0.1:8443\n\(tls)\ncallers: {a: {clientCertificate: 'dns:a', audiences: '*'}}",
      expected: [
        ("callers.a.clientCertificate", "4:34", "tls.clientCAFile is not set; the caller has no other proof", "Set")
      ]),
    Case(
      testDescription: "a certificate that can be shown",
      text: "listen: https://127.0.0.1:8443\n\(mutual)\ncallers: {a: {clientCertificate: 'dns:a', audiences: '*'}}"),
    Case(
      testDescription: "a user without a Unix socket", text: "callers: {a: {unixUser: ['1'], audiences: '*'}}",
      expected: [("callers.a.unixUser", "2:26", "no address of listen is a unix: one", "systemd hands")]),
    Case(
      testDescription: "a user with a Unix socket that is handed over",
      text: "callers: {a: {unixGroup: ['1'], audiences: '*'}}",
      listeners: ["unix:/run/a"]),
    Case(
      testDescription: "an audience that is not listed",
      text: "audiences: [urn:a]\ncallers: {a: {bearerSHA256: KEY, audiences: [urn:a, 'https://other/']}}",
      expected: [("callers.a.audiences", "3:114", "'https://other/' is never given to anybody", "List it in audiences")]
    ),
    Case(
      testDescription: "an audience that is listed without its slash",
      text: "audiences: [urn:b, 'https://a']\ncallers: {a: {bearerSHA256: KEY, audiences: ['https://a/', urn:b]}}",
      expected: [
        ("callers.a.audiences", "3:107", "audiences does not list it", "'https://a', which has no slash at its end?"),
        ("audiences[1]", "2:20", "no caller may have 'https://a'", "callers.NAME.audiences"),
      ]),
    Case(
      testDescription: "a prefix of nothing",
      text: "audiences: [urn:a]\ncallers: {a: {bearerSHA256: KEY, audiences: [urn:a, 'https://a/*']}}",
      expected: [("callers.a.audiences", "3:114", "audiences lists nothing that begins so", "List it")]),
    Case(
      testDescription: "a default audience that is not listed",
      text: "audiences: [urn:a]\ncallers: {a: {bearerSHA256: KEY, audiences: '*', defaultAudience: 'urn:b:c:d'}}",
      expected: [("callers.a.defaultAudience", "3:128", "'urn:b:c:d' is never given", "List it")]),
    Case(
      testDescription: "audiences that are open",
      text: "callers: {a: {bearerSHA256: KEY, audiences: [urn:a, 'https://a/*']}}"),
    Case(
      testDescription: "an audience that nobody may have",
      text: "audiences: [urn:a, {audience: urn:b}]\ncallers: {a: {bearerSHA256: KEY, audiences: urn:a}}",
      expected: [("audiences[1].audience", "2:31", "no caller may have 'urn:b'", "Give it to a caller")]),
    Case(
      testDescription: "a client that nothing is asked from",
      text: "clients: {b: {domain: b.test, clientId: b, clientSecret: b}}",
      expected: [("clients.b", "2:41", "no audience is asked from this client", "Name it")]),
    Case(
      testDescription: "a client of a listed audience",
      text:
        "clients: {b: {domain: b.test, clientId: b, clientSecret: b}}\naudiences: [urn:a, {audience: urn:b, client: b}]"
    ),
    Case(
      testDescription: "a secret in a configuration file that everybody can read", text: "", readable: ["c.yaml"],
      expected: [("auth0.clientSecret", "1:52", "every user of this machine can read DIR/c.yaml", "chmod 0400")]),
    Case(
      testDescription: "keys that everybody can read",
      text: "store: {url: 'file:/tmp/x', keyFile: DIR/store}\nlisten: https://127.0.0.1:8443\n\(tls)",
      readable: ["store", "server.key"],
      expected: [
        ("tls.keyFile", "4:", "DIR/server.key", "chmod"), ("store.keyFile", "2:", "DIR/store", "chmod"),
      ]),
    Case(
      testDescription: "variables that are none", text: "",
      environment: ["BROKER_LISTENN": "a", "AUTHO_DOMAIN": "a", "AUTH0_CLIENTID": "a", "broker_store": "a"],
      expected: [
        ("AUTH0_CLIENTID", "environment", "no such variable", "AUTH0_CLIENT_ID?"),
        ("AUTHO_DOMAIN", "environment", "no such variable", "AUTH0_DOMAIN?"),
        ("BROKER_LISTENN", "environment", "no such variable", "BROKER_LISTEN?"),
        ("broker_store", "environment", "no such variable", "BROKER_STORE?"),
      ]),
    Case(
      testDescription: "variables of others", text: "",
      environment: [
        "BROKER_PORT": "tcp://10.0.0.1:80", "BROKER_SERVICE_HOST": "10.0.0.1", "AUTH0_AUDIENCE": "a", "HOME": "/",
        "BROKER_LISTENN": "", "AUTH0_DOMAIN": "a.test",
      ]),
  ]

  @Test("A configuration is warned of what can never work, each with its place, and of nothing else", arguments: cases)
  func lint(_ lint: Case) async throws {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("lint-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    try await OpenSSL.run("authority authority; sign server authority; echo \(Self.key) > store", in: directory)
    let file = directory + "/c.yaml"
    let text = "auth0: {domain: a.test, clientId: a, clientSecret: \"secret\"}\n\(lint.text)\n"
    try text.replacing("DIR", with: directory).replacing("KEY", with: Self.key)
      .write(toFile: file, atomically: true, encoding: .utf8)
    let environment = lint.environment.merging(["BROKER_CONFIG": file]) { $1 }
    let configuration: Configuration
    do throws(ConfigurationErrors) {
      configuration = try Configuration(from: .init(environment: environment, isTerminal: false))
    } catch {
      Issue.record("\(error)")
      return
    }
    let readable = lint.readable.map { "\(directory)/\($0)" }
    let listeners = try lint.listeners?.map {
      ConfigurationLint.Listener(try SocketAddress(parsing: $0), isTLS: false)
    }
    let warnings = ConfigurationLint(configuration, environment: environment, listeners: listeners) {
      readable.contains($0)
    }.warnings
    #expect(warnings.map(\.subject) == lint.expected.map(\.subject), "\(warnings)")
    for (warning, expected) in zip(warnings, lint.expected) {
      #expect(warning.source?.replacing(file + ":", with: "").hasPrefix(expected.place ?? "?") == true, "\(warning)")
      #expect(warning.message.replacing(directory, with: "DIR").contains(expected.message), "\(warning)")
      #expect(warning.remedy.contains(expected.remedy), "\(warning)")
    }
  }
}
