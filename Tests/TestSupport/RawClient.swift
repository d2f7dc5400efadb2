import Dispatch
import Glibc

/// A plain TCP client for saying exactly what a test wants said. Every wait ends after `timeout` seconds.
package final class RawClient {
  package typealias Failure = RawSocket.Failure

  private let socket: RawSocket
  /// Blocking reads have a thread of their own: the shared pools have too few to block one.
  private let queue = DispatchQueue(label: "raw-client")
  private var held: [UInt8] = []

  package init(port: UInt16, timeout: Int = 10) throws {
    socket = RawSocket(timeout: timeout)
    try socket.connect(to: port)
  }

  /// Resets the connection, as a program that is killed would.
  package func abandon() {
    socket.resetOnClose()
    shutdown(socket.descriptor, Int32(SHUT_RDWR))
  }

  package func send(_ text: String) throws { try socket.send(Array(text.utf8)) }

  package func send(_ bytes: [UInt8]) throws { try socket.send(bytes) }

  /// Sends `text` a byte at a time, the next one when `pause` milliseconds have brought nothing, again and again until
  /// the peer answers or hangs up; returns all it says until it closes. Throws when 300 bytes have not made it.
  package func drip(_ text: String, pause: Int32) async throws -> String {
    let bytes = Array(text.utf8)
    for sent in 0..<300 {
      if await isReady(for: POLLIN, within: pause) { return try await readToEnd() }
      // What the peer says to it is what counts.
      try? send([bytes[sent % bytes.count]])
    }
    throw Failure(description: "the peer takes one byte after the other and says nothing")
  }

  /// Whether the peer resets the connection within so many seconds, though nothing is read from it.
  package func isReset(within seconds: Int32) async -> Bool { await isReady(for: 0, within: seconds * 1000) }

  private func isReady(for events: Int32, within milliseconds: Int32) async -> Bool {
    await withCheckedContinuation { continuation in
      queue.async { [socket] in
        var entry = pollfd(fd: socket.descriptor, events: Int16(events), revents: 0)
        continuation.resume(returning: unsafe poll(&entry, 1, milliseconds) > 0)
      }
    }
  }

  /// Ends the sending half.
  package func endOutput() { shutdown(socket.descriptor, Int32(SHUT_WR)) }

  /// Everything until the peer closes. Throws when it resets or when the time is over.
  package func readToEnd() async throws -> String {
    while try await receive() {}
    defer { held = [] }
    return String(decoding: held, as: UTF8.self)
  }

  /// Whether any of these, who have asked nothing, is told 503; the last ones are asked first. Not each of them is
  /// told: where there has been room for a moment, one may have been let in.
  package static func isAnyRefused(of clients: [RawClient]) async throws -> Bool {
    for client in clients.reversed() where try await client.readToEnd().hasPrefix("HTTP/1.1 503 ") { return true }
    return false
  }

  /// Reads to nowhere until the peer has ended the connection, on the calling thread; false when the time is over.
  package func waitForEnd() -> Bool {
    do {
      while try !socket.receive().isEmpty {}
      return true
    } catch {
      return (error as? Failure)?.isTimeout == false
    }
  }

  /// Sends a request and reads once, on the calling thread: what came, empty where nothing did.
  package func exchange(_ text: String) -> String {
    guard (try? send(text)) != nil else { return "" }
    return String(decoding: (try? socket.receive()) ?? [], as: UTF8.self)
  }

  /// One response with a Content-Length: its header and its body.
  package func readResponse(bodyless: Bool = false) async throws -> (head: String, body: String) {
    while true {
      if let message = RawMessage(firstOf: held, isBodyless: bodyless) {
        held.removeFirst(message.count)
        return (message.head, message.body)
      }
      guard try await receive() else {
        throw Failure(description: "the connection ended after: \(String(decoding: held, as: UTF8.self))")
      }
    }
  }

  /// False at the end of the stream.
  private func receive() async throws -> Bool {
    let received = try await withCheckedThrowingContinuation { continuation in
      queue.async { [socket] in continuation.resume(with: Result { try socket.receive() }) }
    }
    held += received
    return !received.isEmpty
  }
}

/// A listener that accepts nothing, for a port that a test can know to be closed once it is.
package final class RawListener {
  package let port: UInt16
  private var socket: RawSocket?

  /// On any port that is free, or on this one.
  package init(_ port: UInt16 = 0) throws {
    let socket = RawSocket(timeout: 0)
    self.port = try socket.listen(on: port, backlog: 1)
    self.socket = socket
  }

  package func close() { socket = nil }
}
