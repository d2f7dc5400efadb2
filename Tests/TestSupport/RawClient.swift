import Dispatch
import Glibc

/// A plain TCP client for saying exactly what a test wants said. Every wait ends after `timeout` seconds.
public final class RawClient {
  public struct Failure: Error, CustomStringConvertible {
    public let description: String
  }

  private let descriptor: Int32
  /// Blocking reads have a thread of their own: the shared pools have too few to block one.
  private let queue = DispatchQueue(label: "raw-client")
  private var held: [UInt8] = []

  public init(port: UInt16, timeout: Int = 10) throws {
    descriptor = try LoopbackSocket.connected(to: port, timeout: timeout)
  }

  deinit {
    close(descriptor)
  }

  /// Resets the connection, as a program that is killed would.
  public func abandon() {
    var now = linger(l_onoff: 1, l_linger: 0)
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
    shutdown(descriptor, Int32(SHUT_RDWR))
  }

  public func send(_ text: String) throws {
    try send(Array(text.utf8))
  }

  public func send(_ bytes: [UInt8]) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes {
        unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw Failure(description: "send: errno \(errno)") }
      rest = rest.dropFirst(count)
    }
  }

  /// Sends `text` a byte at a time, the next one when `pause` milliseconds have brought nothing, again and again until
  /// the peer answers or hangs up; returns all it says until it closes. Throws when 300 bytes have not made it.
  public func drip(_ text: String, pause: Int32) async throws -> String {
    let bytes = Array(text.utf8)
    for sent in 0..<300 {
      if await isReady(for: POLLIN, within: pause) { return try await readToEnd() }
      // What the peer says to it is what counts.
      try? send([bytes[sent % bytes.count]])
    }
    throw Failure(description: "the peer takes one byte after the other and says nothing")
  }

  /// Whether the peer resets the connection within so many seconds, though nothing is read from it.
  public func isReset(within seconds: Int32) async -> Bool { await isReady(for: 0, within: seconds * 1000) }

  private func isReady(for events: Int32, within milliseconds: Int32) async -> Bool {
    await withCheckedContinuation { continuation in
      queue.async { [descriptor] in
        var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        continuation.resume(returning: unsafe poll(&entry, 1, milliseconds) > 0)
      }
    }
  }

  /// Ends the sending half.
  public func endOutput() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Everything until the peer closes. Throws when it resets or when the time is over.
  public func readToEnd() async throws -> String {
    while try await receive() {}
    defer { held = [] }
    return String(decoding: held, as: UTF8.self)
  }

  /// Reads to nowhere until the peer has ended the connection, on the calling thread; false when the time is over.
  public func waitForEnd() -> Bool {
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
      if count <= 0 { return count == 0 || errno != EAGAIN }
    }
  }

  /// Sends a request and reads once, on the calling thread: what came, empty where nothing did.
  public func exchange(_ text: String) -> String {
    var buffer = [UInt8](repeating: 0, count: 65536)
    guard (try? send(text)) != nil else { return "" }
    let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
    return String(decoding: buffer[..<max(0, count)], as: UTF8.self)
  }

  /// One response with a Content-Length: its header and its body.
  public func readResponse(bodyless: Bool = false) async throws -> (head: String, body: String) {
    while true {
      if let end = held.indices.first(where: { held[$0...].starts(with: Array("\r\n\r\n".utf8)) }) {
        let head = String(decoding: held[..<end], as: UTF8.self)
        let field = head.lowercased().split(separator: "\r\n").first { $0.hasPrefix("content-length: ") }
        let length = bodyless ? 0 : field.flatMap { Int($0.dropFirst("content-length: ".count)) } ?? 0
        if held.count >= end + 4 + length {
          let body = String(decoding: held[(end + 4)..<(end + 4 + length)], as: UTF8.self)
          held.removeFirst(end + 4 + length)
          return (head, body)
        }
      }
      guard try await receive() else {
        throw Failure(description: "the connection ended after: \(String(decoding: held, as: UTF8.self))")
      }
    }
  }

  /// False at the end of the stream.
  private func receive() async throws -> Bool {
    let received = try await withCheckedThrowingContinuation { continuation in
      queue.async { [descriptor] in
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
        let code = errno
        continuation.resume(
          with: count < 0 ? .failure(Failure(description: "recv: errno \(code)")) : .success(Array(buffer[..<count])))
      }
    }
    held += received
    return !received.isEmpty
  }
}

/// A listener that accepts nothing, for a port that a test can know to be closed.
public final class RawListener {
  public let port: UInt16
  private let descriptor: Int32

  public init() throws {
    (descriptor, port) = try LoopbackSocket.listening(backlog: 1)
  }

  public func close() { Glibc.close(descriptor) }
}
