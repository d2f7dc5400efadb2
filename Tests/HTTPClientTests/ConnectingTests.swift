import Basics
import Foundation
import Glibc
import IO
import Synchronization
import TestSupport
import Testing

@testable import HTTPClient

/// The ways to a server that older and newer versions of libcurl go differently.
@Suite(.timeLimit(.minutes(1))) struct ConnectingTests {
  init() { ThisProcess.ignoreFailingWrites() }

  private func client(
    connectTimeout: Duration = .seconds(5), addresses: [String] = []
  ) throws -> HTTPClient {
    try HTTPClient(
      HTTPClient.Options(
        trust: .system, identity: nil, proxy: nil, userAgent: "test", connectTimeout: connectTimeout,
        addresses: addresses))
  }

  @Test("With a dead address in front of a live one it connects within a short connectTimeout")
  func deadAddress() async throws {
    try await withPeer { connection in
      if connection.request() != nil { connection.answer("200 OK") }
    } _: { peer in
      let dead = try DeadAddress(host: 2, port: peer.port)
      let client = try client(
        connectTimeout: .seconds(2), addresses: ["tenant.example:\(peer.port):127.0.0.2,127.0.0.1"])
      let request = HTTPClient.Request(url: "http://tenant.example:\(peer.port)/", timeout: .seconds(10))
      #expect(try await client.send(request).status == 200)
      withExtendedLifetime(dead) {}
    }
  }

  @Test("Behind a dead address one is reached that takes connections late")
  func lateAddress() async throws {
    let dead = try DeadAddress(host: 2)
    let port = dead.port
    var late: DeadAddress? = try DeadAddress(host: 3, port: port)
    let client = try client(
      connectTimeout: .seconds(4), addresses: ["tenant.example:\(port):127.0.0.2,127.0.0.3"])
    async let response = client.send(
      HTTPClient.Request(url: "http://tenant.example:\(port)/", timeout: .seconds(10)))
    // In the kernel's table: who is connected to whom, in hexadecimal digits, and how far that is (02: SYN_SENT).
    let attempt = "0300007F:" + String(UInt32(port) + 0x10000, radix: 16, uppercase: true).dropFirst() + " 02 "
    try await eventually("an attempt") {
      // A String of such a file would be its first page.
      let table = try FileHandle(forReadingAtPath: "/proc/net/tcp")?.readToEnd() ?? Data()
      return String(decoding: table, as: UTF8.self).components(separatedBy: attempt).count > DeadAddress.spare + 1
    }
    withExtendedLifetime(late) {}
    late = nil
    let peer = try RawPeer(host: 3, port: port) { connection in
      if connection.request() != nil { connection.answer("200 OK") }
    }
    defer { peer.stop() }
    #expect(try await response.status == 200)
    withExtendedLifetime(dead) {}
  }

  @Test("An address of IPv6 that leads nowhere holds nothing up")
  func noRoute() async throws {
    try await withPeer { connection in
      if connection.request() != nil { connection.answer("200 OK") }
    } _: { peer in
      let client = try client(addresses: ["tenant.example:\(peer.port):[2001:db8::1],127.0.0.1"])
      let request = HTTPClient.Request(url: "http://tenant.example:\(peer.port)/", timeout: .seconds(2))
      #expect(try await client.send(request).status == 200)
    }
  }

  @Test("By plain HTTP a request does not wait behind one that hangs")
  func hanging() async throws {
    try await withPeer { connection in
      guard let request = connection.request() else { return }
      if request.hasPrefix("GET /hangs ") { return connection.waitForEnd() }
      connection.answer("200 OK")
    } _: { peer in
      let client = try client()
      let hanging = Task {
        try await client.send(HTTPClient.Request(url: peer.url + "/hangs", timeout: .milliseconds(2000)))
      }
      try await eventually("first request") { !peer.requests.isEmpty }
      #expect(try await client.send(HTTPClient.Request(url: peer.url, timeout: .seconds(1))).status == 200)
      await #expect(throws: HTTPClient.Failure.self) { try await hanging.value }
    }
  }

  @Test("The wait for a connection that is free does not count as connecting")
  func crowded() async throws {
    let gate = DispatchSemaphore(value: 0)
    try await withPeer { connection in
      while connection.request() != nil {
        gate.wait()
        connection.answer("200 OK")
      }
    } _: { peer in
      let client = try client(connectTimeout: .milliseconds(500))
      let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<80 {
          group.addTask { try await client.send(HTTPClient.Request(url: peer.url, timeout: .seconds(20))).status }
        }
        try await eventually("full server") { peer.requests.count == 64 }
        // The time that must not count is what this is about.
        try await Task.sleep(for: .milliseconds(1000))
        for _ in 0..<80 { gate.signal() }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(statuses == Array(repeating: 200, count: 80) && peer.connections <= 64)
    }
  }

  @Test("A request that finds no room in time ends by its own timeout")
  func noRoom() async throws {
    try await withPeer {
      $0.waitForEnd()
    } _: { peer in
      let client = try client()
      let start = Instant.now
      let kinds = await withTaskGroup(of: HTTPClient.Failure.Kind?.self) { group in
        for _ in 0..<70 {
          group.addTask {
            do throws(HTTPClient.Failure) {
              _ = try await client.send(HTTPClient.Request(url: peer.url, timeout: .milliseconds(500)))
              return nil
            } catch {
              return error.kind
            }
          }
        }
        return await group.reduce(into: []) { $0.append($1) }
      }
      #expect(kinds.allSatisfy { $0 == .timeout } && kinds.count == 70)
      #expect(start.duration(to: .now) < .seconds(9))
    }
  }
}

/// An address that takes no connection, like one whose packets are dropped: its listener's queue is full.
private final class DeadAddress {
  /// As many as stay in SYN_SENT for want of room.
  static let spare = 3
  private var descriptors: [Int32] = []
  private let host: UInt8
  private(set) var port: UInt16

  /// 127.0.0.`host`; on a port that was free, if that is 0.
  init(host: UInt8, port: UInt16 = 0) throws {
    (self.host, self.port) = (host, port)
    let listener = make()
    let status = unsafe withAddress {
      unsafe bind(listener, $0, $1) | listen(listener, 0) | getsockname(listener, $0, &$1)
    }
    if status != 0 { throw ChildProcess.Failure(description: "127.0.0.\(host): errno \(errno)") }
    // One more than its queue is long, and some to be sure.
    for _ in 0..<1 + Self.spare {
      let filler = make(SOCK_NONBLOCK.rawValue)
      _ = unsafe withAddress { unsafe connect(filler, $0, $1) }
    }
  }

  deinit { for descriptor in descriptors { close(descriptor) } }

  private func make(_ flags: UInt32 = 0) -> Int32 {
    descriptors.append(socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | flags), 0))
    return descriptors[descriptors.count - 1]
  }

  private func withAddress(_ body: (UnsafeMutablePointer<sockaddr>, inout socklen_t) -> Int32) -> Int32 {
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = (0x7F00_0000 | UInt32(host)).bigEndian
    defer { port = UInt16(bigEndian: address.sin_port) }
    return unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0, &length) }
    }
  }
}
