import Basics
import Foundation
import Glibc
import IO
import Synchronization
import TestSupport
import Testing

@testable import HTTPClient

/// What becomes of connections between requests, and of those that have lived for long.
@Suite(.timeLimit(.minutes(1))) struct KeptConnectionTests {
  init() { ThisProcess.ignoreFailingWrites() }

  private static func client(lifetime: Duration = .seconds(600)) throws -> HTTPClient {
    try HTTPClient(
      HTTPClient.Options(
        trust: .system, identity: nil, proxy: nil, userAgent: "test", connectTimeout: .seconds(5), lifetime: lifetime))
  }

  private static func get(_ url: String, by client: HTTPClient) async throws -> HTTPClient.Response {
    try await client.send(HTTPClient.Request(url: url, timeout: .seconds(10)))
  }

  @Test("A connection that the server ends between requests is closed here, too, without another request")
  func ended() async throws {
    let isClosed = Watched<Bool?>(nil)
    try await withPeer { connection in
      guard connection.request() != nil else { return }
      connection.answer("200 OK")
      let closed = connection.endsBoth()
      isClosed.change { $0 = closed }
    } _: { peer in
      let client = try Self.client()
      #expect(try await Self.get(peer.url, by: client).status == 200)
      #expect(try await isClosed.wait(for: "end") { isClosed.value })
      #expect(try await Self.get(peer.url, by: client).status == 200)
      #expect(peer.connections == 2)
    }
  }

  @Test("One that the server ends while a request is under way on another is closed when that is over, which is unhurt")
  func endedMeanwhile() async throws {
    let (isClosed, gate) = (Watched<Bool?>(nil), DispatchSemaphore(value: 0))
    try await withPeer { connection in
      guard let request = connection.request() else { return }
      if request.hasPrefix("GET /slow ") { gate.wait() }
      connection.answer("200 OK")
      if request.hasPrefix("GET /slow ") { return connection.waitForEnd() }
      let closed = connection.endsBoth()
      isClosed.change { $0 = closed }
    } _: { peer in
      let client = try Self.client()
      async let slow = Self.get(peer.url + "/slow", by: client)
      try await eventually("first request") { !peer.requests.isEmpty }
      #expect(try await Self.get(peer.url, by: client).status == 200)
      gate.signal()
      #expect(try await slow.status == 200)
      #expect(try await isClosed.wait(for: "end") { isClosed.value })
    }
  }

  @Test("A connection at rest is closed when it has lived for long enough, and when its client is let go of")
  func rest() async throws {
    let closed = Watched<[Bool]>([])
    try await withPeer { connection in
      guard connection.request() != nil else { return }
      connection.answer("200 OK")
      let isClosed = connection.isClosed()
      closed.change { $0.append(isClosed) }
    } _: { peer in
      let client = try Self.client(lifetime: .milliseconds(300))
      #expect(try await Self.get(peer.url, by: client).status == 200)
      #expect(try await closed.wait(for: "end") { closed.value.first })
      #expect(try await Self.get(peer.url, by: Self.client()).status == 200)
      #expect(try await closed.wait(for: "other end") { closed.value.dropFirst().first })
      withExtendedLifetime(client) {}
    }
  }

  @Test(
    "A name that moves is followed at the end of its connections' lives, however often they are used",
    .enabled(if: geteuid() == 0))
  func moved() async {
    await #expect(processExitsWith: .success) {
      let hosts = FileManager.default.temporaryDirectory.appendingPathComponent("hosts-\(UUID())")
      defer { try? FileManager.default.removeItem(at: hosts) }
      try "127.0.0.1 tenant.example\n".write(to: hosts, atomically: false, encoding: .utf8)
      // Names are looked up by threads that come of the one that curl runs on.
      try await Task(executorPreference: HTTPClient.executor) { try Self.seeHosts(in: hosts.path) }.value
      let before = try RawPeer(Self.answer("before"))
      let after = try RawPeer(host: 2, port: before.port, Self.answer("after"))
      let client = try Self.client(lifetime: .milliseconds(500))
      let url = "http://tenant.example:\(before.port)/"
      try #require(try await Self.get(url, by: client).body == Array("before".utf8))
      try "127.0.0.2 tenant.example\n".write(to: hosts, atomically: false, encoding: .utf8)
      try await eventually(within: .seconds(10), "answer of the other") {
        try await Self.get(url, by: client).body == Array("after".utf8)
      }
      after.stop()
    }
  }

  /// Has the thread that calls it, and those that come of it, see another /etc/hosts, in a mount namespace of its own.
  private static func seeHosts(in file: String) throws {
    // Glibc's module has neither unshare(2) nor CLONE_NEWNS, which is 0x20000.
    typealias Function = @convention(c) (Int32) -> Int32
    guard let function = unsafe dlsym(nil, "unshare"),
      unsafe unsafeBitCast(function, to: Function.self)(0x2_0000) == 0,
      unsafe mount("none", "/", nil, UInt(MS_REC | MS_PRIVATE), nil) == 0,
      unsafe mount(file, "/etc/hosts", nil, UInt(MS_BIND), nil) == 0
    else { throw ChildProcess.Failure(description: "a namespace of its own: errno \(errno)") }
  }

  private static func answer(_ body: String) -> @Sendable (RawPeer.Connection) -> Void {
    { connection in while connection.request() != nil { connection.answer("200 OK", body: body) } }
  }
}
