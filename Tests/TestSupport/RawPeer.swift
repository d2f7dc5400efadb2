import Dispatch
import Foundation
import Glibc
import Synchronization

/// A server on an ephemeral loopback port that does with each connection what a test says, be it proper HTTP or not.
/// Connections have a thread each, and no wait takes longer than ten seconds.
package final class RawPeer: Sendable {
  /// One connection, for the code that plays the server.
  package final class Connection: Sendable {
    package let descriptor: Int32
    /// Counts the connections from 1.
    package let number: Int
    private let peer: RawPeer

    fileprivate init(_ descriptor: Int32, number: Int, peer: RawPeer) {
      self.descriptor = descriptor
      self.number = number
      self.peer = peer
      LoopbackSocket.limitWaits(of: descriptor, to: 10)
    }

    deinit {
      close(descriptor)
    }

    /// One request, header and body; nil when the client has closed.
    package func request() -> String? {
      var text = ""
      while true {
        if let end = text.firstRange(of: "\r\n\r\n") {
          let field = text[..<end.lowerBound].lowercased().split(separator: "\r\n")
            .first { $0.hasPrefix("content-length: ") }
          let length = field.flatMap { Int($0.dropFirst("content-length: ".count)) } ?? 0
          if text[end.upperBound...].utf8.count >= length {
            peer.state.withLock { $0.requests.append(text) }
            return text
          }
        }
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { return nil }
        text += String(decoding: buffer[..<count], as: UTF8.self)
      }
    }

    package func send(_ text: String) {
      var rest = Array(text.utf8)[...]
      while !rest.isEmpty {
        let count = unsafe rest.withUnsafeBytes {
          unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        guard count > 0 else { return }
        rest = rest.dropFirst(count)
      }
    }

    /// A whole answer that leaves the connection open.
    package func answer(_ status: String, _ fields: String = "", body: String = "") {
      send("HTTP/1.1 \(status)\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
    }

    /// Waits until the client closes.
    package func waitForEnd() {
      while request() != nil {}
    }

    /// Makes the close that follows a reset.
    package func reset() {
      var now = linger(l_onoff: 1, l_linger: 0)
      unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
    }
  }

  private struct State {
    var requests: [String] = []
    var connections = 0
  }

  package let port: UInt16
  private let listener: Int32
  private let state = Mutex(State())

  /// `play` has the connection until it returns, which closes it.
  package init(_ play: @escaping @Sendable (Connection) -> Void) throws {
    (listener, port) = try LoopbackSocket.listening(backlog: 256)
    Thread.detachNewThread { [self] in
      while true {
        let descriptor = accept(listener, nil, nil)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        if descriptor < 0 { return }
        let number = state.withLock {
          $0.connections += 1
          return $0.connections
        }
        let connection = Connection(descriptor, number: number, peer: self)
        Thread.detachNewThread { play(connection) }
      }
    }
  }

  /// Ends accepting. Connections end when their players return.
  package func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

  package var url: String { "http://127.0.0.1:\(port)" }
  /// All requests so far, whole.
  package var requests: [String] { state.withLock(\.requests) }
  package var connections: Int { state.withLock(\.connections) }
}

/// Runs `body` against a peer that plays `play`.
package func withPeer<Result>(
  _ play: @escaping @Sendable (RawPeer.Connection) -> Void, _ body: (RawPeer) async throws -> Result
) async throws -> Result {
  let peer = try RawPeer(play)
  defer { peer.stop() }
  return try await body(peer)
}
