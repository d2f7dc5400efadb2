import Basics
import Foundation
import IO
import TestSupport
import Testing

@testable import HTTPClient

/// Against a TLS server that is not of this project, which ends HTTP/2 connections and asks for certificates.
@Suite(.serialized, .timeLimit(.minutes(2))) struct ForeignTLSTests {
  private final class TLSServer: Sendable {
    private let child: ChildProcess
    let url: String

    init(_ options: [String]) async throws {
      let directory = try await files.value
      let script = Repository.path("Tests/HTTPClientTests/Servers/tls_server.py")
      child = try ChildProcess("/usr/bin/python3", [script, directory] + options)
      let port = try await child.wait(for: "port", timeout: .seconds(30)) { child in
        child.output.firstMatch(of: /port (\d+)\n/)?.1
      }
      url = "https://127.0.0.1:\(port)/"
    }

    /// The connection of each request that it has got whole.
    var requests: [Int] { child.output.matches(of: /request (\d+)\n/).compactMap { Int($0.1) } }

    /// As soon as there are so many of them.
    func requests(_ count: Int) async throws -> [Int] {
      try await eventually("\(count) requests") { requests.count >= count }
      return requests
    }
  }

  /// The directory with the certificates, made once; it ends with the test program.
  private static let files = Task {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("tls-\(UUID())")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    try await OpenSSL.run("authority ca; sign server ca; sign client ca; authority rogue", in: directory.path)
    return directory.path
  }

  init() { ThisProcess.ignoreFailingWrites() }

  private func client(
    _ identity: String? = nil, connectTimeout: Duration = .seconds(5), lifetime: Duration = .seconds(600)
  ) async throws -> HTTPClient {
    let directory = try await Self.files.value
    let identity = identity.map {
      HTTPClient.Identity(certificateFile: "\(directory)/\($0).crt", keyFile: "\(directory)/\($0).key")
    }
    return try HTTPClient(
      HTTPClient.Options(
        trust: .file(directory + "/ca.crt"), identity: identity, proxy: nil, userAgent: "test",
        connectTimeout: connectTimeout, lifetime: lifetime))
  }

  /// As whoever makes each request anew sends it.
  private static func post(
    _ url: String, by client: HTTPClient, timeout: Duration = .seconds(20)
  ) async throws -> Int {
    var request = HTTPClient.Request(url: url, body: Secret("a=b".utf8), timeout: timeout)
    while true {
      do throws(HTTPClient.Failure) {
        return try await client.send(request).status
      } catch {
        guard error.kind == .lost else { throw error }
        request.attempt += 1
      }
    }
  }

  @Test("Requests that a GOAWAY says were not read are sent again, and those that it spares are not")
  func goaway() async throws {
    let server = try await TLSServer(["--goaway", "4"])
    let client = try await client()
    let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<4 { group.addTask { try await Self.post(server.url, by: client) } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(statuses == [200, 200, 200, 200])
    let requests = try await server.requests(6)
    #expect(requests.count == 6 && requests.count { $0 == 1 } == 4, "\(requests)")
  }

  @Test("A request under which a connection ends that was kept is sent again")
  func lost() async throws {
    let server = try await TLSServer(["--lose"])
    let client = try await client()
    for _ in 0..<3 { #expect(try await Self.post(server.url, by: client) == 200) }
    let requests = try await server.requests(4)
    #expect(requests.prefix(2) == [1, 1] && requests.count == 4, "\(requests)")
  }

  @Test("A request over a connection that the network has forgotten is sent again in time", arguments: ["", "--http1"])
  func forgotten(_ option: String) async throws {
    let server = try await TLSServer(["--deaf"] + (option.isEmpty ? [] : [option]))
    let client = try await client(connectTimeout: .seconds(2))
    for _ in 0..<3 { #expect(try await Self.post(server.url, by: client, timeout: .seconds(4)) == 200) }
    let requests = try await server.requests(3)
    #expect(requests.first == 1 && requests.count { $0 == 1 } == 1 && requests.count == 3, "\(requests)")
  }

  @Test("A connection by HTTP/2 that is never at rest is replaced at the end of its life, and no request is lost")
  func replaced() async throws {
    let server = try await TLSServer(["--slow"])
    let client = try await client(lifetime: .milliseconds(500))
    let statuses = try await withThrowingTaskGroup(of: Set<Int>.self) { group in
      // While one is answered, the others wait for that.
      for _ in 0..<4 {
        group.addTask {
          var statuses: Set<Int> = []
          for _ in 0..<100 where server.requests.last != 2 {
            statuses.insert(try await Self.post(server.url, by: client))
          }
          return statuses
        }
      }
      return try await group.reduce(into: Set()) { $0.formUnion($1) }
    }
    #expect(statuses == [200] && server.requests.contains(2))
  }

  @Test("A server that speaks HTTP/1.1 inside TLS gets its requests all at once, before it has answered any")
  func http1() async throws {
    let server = try await TLSServer(["--http1"])
    let client = try await client()
    let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<20 { group.addTask { try await Self.post(server.url, by: client) } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    let requests = try await server.requests(20)
    #expect(statuses == Array(repeating: 200, count: 20) && requests.count == 20, "\(requests)")
  }

  @Test(
    "A server that wants a client certificate is told as that, whenever its alert arrives",
    arguments: ["", "--http1", "--tls12"], [nil, "rogue"] as [String?])
  func wanted(_ option: String, _ identity: String?) async throws {
    let server = try await TLSServer(["--verify"] + (option.isEmpty ? [] : [option]))
    let client = try await client(identity)
    for _ in 0..<3 {
      let failure = await #expect(throws: HTTPClient.Failure.self) { try await Self.post(server.url, by: client) }
      #expect(failure?.kind == .identity, "\(failure?.message ?? "")")
      #expect(failure?.message.contains(identity == nil ? "which has none" : "refuses") == true)
      let report = await client.connect(to: server.url, timeout: .seconds(10))
      #expect(report.failure?.cause == .identity && report.failure?.stage == .handshake, "\(report)")
    }
    #expect(server.requests.isEmpty)
  }

  @Test("A certificate that the server believes finds nothing wrong", arguments: ["", "--tls12"])
  func accepted(_ option: String) async throws {
    let server = try await TLSServer(["--verify"] + (option.isEmpty ? [] : [option]))
    let client = try await client("client")
    #expect(await client.connect(to: server.url, timeout: .seconds(10)).failure == nil)
    #expect(try await Self.post(server.url, by: client) == 200)
  }
}
