import Dispatch
import Glibc

@testable import IO

/// A client of a Unix socket. Every wait ends after ten seconds.
final class UnixClient {
  struct Failure: Error {}

  private let descriptor: Descriptor
  /// Waits have a thread of their own: the shared pools have too few to block one.
  private let queue = DispatchQueue(label: "unix-client")

  init(_ address: SocketAddress) throws(SystemError) {
    descriptor = try SystemCall.socket(family: AF_UNIX)
    try SystemCall.connect(descriptor.number, to: address)
  }

  func send(_ text: String) throws {
    let bytes = Array(text.utf8)
    let count = try unsafe bytes.withUnsafeBytes { unsafe try SystemCall.send(descriptor.number, $0) }
    if count != bytes.count { throw Failure() }
  }

  /// Everything until the peer closes. Throws when the time is over.
  func readToEnd() async throws -> String {
    var held: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      guard await isReady(for: POLLIN) else { throw Failure() }
      let count = try unsafe buffer.withUnsafeMutableBytes { room in
        try unsafe SystemCall.receive(descriptor.number, into: room)
      }
      if count == 0 { return String(decoding: held, as: UTF8.self) }
      held += buffer.prefix(count ?? 0)
    }
  }

  /// Whether the peer says something in time, or closes.
  func isAnswered() async -> Bool { await isReady(for: POLLIN) }

  /// Whether the peer closes the connection in time, though nothing is read from it.
  func isHungUp() async -> Bool { await isReady(for: 0) }

  private func isReady(for events: Int32) async -> Bool {
    await withCheckedContinuation { continuation in
      queue.async { [number = descriptor.number] in
        var entry = pollfd(fd: number, events: Int16(events), revents: 0)
        continuation.resume(returning: unsafe poll(&entry, 1, 10_000) > 0)
      }
    }
  }
}
