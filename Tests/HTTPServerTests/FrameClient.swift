import Dispatch
import Glibc
import TestSupport

@testable import IO

/// A client that speaks HTTP/2 frame by frame. Every wait ends after ten seconds.
final class FrameClient {
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  private let descriptor: Descriptor
  /// Waits have a thread of their own: the shared pools have too few to block one.
  private let queue = DispatchQueue(label: "frame-client")
  private var held: [UInt8] = []
  /// What the last GOAWAY said.
  private var lastCode: String?

  init(port: UInt16, greets: Bool = true) async throws {
    descriptor = try SystemCall.socket(family: AF_INET)
    let address = try SocketAddress.loopback(port)
    do throws(SystemError) {
      try SystemCall.connect(descriptor.number, to: address)
    } catch {
      if error.code != EINPROGRESS { throw error }
    }
    guard await isReady(for: POLLOUT) else { throw Failure(description: "no connection") }
    if greets { try await send(HTTP2Frame.greeting + HTTP2Frame.settings(isAck: true).bytes) }
  }

  func send(_ frames: HTTP2Frame...) async throws { try await send(frames.flatMap(\.bytes)) }

  func send(_ bytes: [UInt8]) async throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = try unsafe rest.withUnsafeBytes { unsafe try SystemCall.send(descriptor.number, $0) }
      rest = rest.dropFirst(count ?? 0)
      if count == nil, await !isReady(for: POLLOUT) { throw Failure(description: "the peer takes nothing more") }
    }
  }

  /// Whether the peer takes no more bytes.
  func isStuck(_ bytes: [UInt8]) throws -> Bool {
    try unsafe bytes.withUnsafeBytes { unsafe try SystemCall.send(descriptor.number, $0) } == nil
  }

  /// The next frame that is not SETTINGS; nil at the end of the connection, and where it is reset.
  func next() async throws -> HTTP2Frame? {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      while let frame = HTTP2Frame.take(from: &held) {
        if frame.type == 7 { lastCode = frame.code }
        if frame.type != 4 { return frame }
      }
      guard await isReady(for: POLLIN) else { throw Failure(description: "nothing within ten seconds") }
      let count = try? unsafe buffer.withUnsafeMutableBytes { room in
        try unsafe SystemCall.receive(descriptor.number, into: room) ?? 0
      }
      guard let count, count > 0 else { return nil }
      held += buffer.prefix(count)
    }
  }

  /// The whole answer to a stream; frames of others before its end are dropped.
  func answer(to stream: Int) async throws -> (status: Int, body: String) {
    var (status, body) = (0, [UInt8]())
    while let frame = try await next() {
      if frame.stream != stream { continue }
      if frame.type == 1 { status = frame.status ?? 0 }
      if frame.type == 0 { body += frame.payload }
      if frame.type == 3 { throw Failure(description: "reset: \(frame.code ?? "")") }
      if frame.ends { return (status, String(decoding: body, as: UTF8.self)) }
    }
    throw Failure(description: "the connection ended")
  }

  /// The error code of the last GOAWAY before the end; nil without one.
  func codeAtEnd() async throws -> String? {
    while try await next() != nil {}
    return lastCode
  }

  private func isReady(for events: Int32) async -> Bool {
    await withCheckedContinuation { continuation in
      queue.async { [number = descriptor.number] in
        var entry = pollfd(fd: number, events: Int16(events), revents: 0)
        continuation.resume(returning: unsafe poll(&entry, 1, 10_000) > 0)
      }
    }
  }
}

extension SocketAddress {
  static func loopback(_ port: UInt16) throws -> SocketAddress { try SocketAddress(parsing: "127.0.0.1:\(port)") }
}
