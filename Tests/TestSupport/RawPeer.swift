import Dispatch
import Foundation
import Glibc
import Synchronization

/// A server on a loopback port that does with each connection what a test says, be it proper HTTP or not.
/// Connections have a thread each, and no wait takes longer than ten seconds.
package final class RawPeer: Sendable {
  /// One connection, for the code that plays the server.
  package final class Connection: Sendable {
    /// Counts the connections from 1.
    package let number: Int
    private let socket: RawSocket
    private let peer: RawPeer

    fileprivate init(_ descriptor: Int32, number: Int, peer: RawPeer) {
      socket = RawSocket(descriptor, timeout: 10)
      self.number = number
      self.peer = peer
    }

    /// One request, header and body; nil when the client has closed.
    package func request() -> String? {
      var bytes: [UInt8] = []
      while true {
        if RawMessage(firstOf: bytes) != nil {
          let text = String(decoding: bytes, as: UTF8.self)
          peer.state.withLock { $0.requests.append(text) }
          return text
        }
        guard let more = try? socket.receive(), !more.isEmpty else { return nil }
        bytes += more
      }
    }

    /// Whether the client takes it is for the test to see.
    package func send(_ text: String) { try? socket.send(Array(text.utf8)) }

    /// A whole answer that leaves the connection open.
    package func answer(_ status: String, _ fields: String = "", body: String = "") {
      send("HTTP/1.1 \(status)\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
    }

    /// Waits until the client closes.
    package func waitForEnd() {
      while request() != nil {}
    }

    /// Sends nothing more, as a server does that closes, and tells whether the client closes, too.
    package func endsBoth() -> Bool {
      shutdown(socket.descriptor, Int32(SHUT_WR))
      return isClosed()
    }

    /// Whether the client closes without another word.
    package func isClosed() -> Bool { (try? socket.receive())?.isEmpty == true }

    /// Makes the close that follows a reset.
    package func reset() { socket.resetOnClose() }
  }

  private struct State {
    var requests: [String] = []
    var connections = 0
  }

  package let port: UInt16
  private let listener = RawSocket(timeout: 0)
  private let state = Mutex(State())

  /// `play` has the connection until it returns, which closes it. It listens on 127.0.0.`host`, on a port that was free
  /// if `port` is 0.
  package init(host: UInt8 = 1, port: UInt16 = 0, _ play: @escaping @Sendable (Connection) -> Void) throws {
    self.port = try listener.listen(on: port, of: host, backlog: 256)
    Thread.detachNewThread { [self] in
      while true {
        let descriptor = accept(listener.descriptor, nil, nil)
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
  package func stop() { shutdown(listener.descriptor, Int32(SHUT_RDWR)) }

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
