import Basics
import IO
import Synchronization

/// Takes connections from a listener and starts them on its loop.
final class Acceptor: EventHandler {
  private let listener: Listener
  private let state: ListenerState
  private unowned let server: ServerLoop
  private var registration: EventLoop.Registration?
  /// Given up for a moment when there are no descriptors left, to tell a client so instead of leaving it waiting.
  private var spare = try? Descriptor.spare()

  /// Connections taken in one turn, so that those already open get theirs.
  private static let batch = 64
  /// More than this do not wait in the kernel.
  private static let backlog = 4096
  private static let pause = Duration.milliseconds(100)
  /// Held while a connection is taken: without it, another loop could get the descriptor that one gives up to refuse
  /// with.
  private static let turn = Mutex(())

  init(_ listener: Listener, _ state: ListenerState, server: ServerLoop) throws {
    self.listener = listener
    self.state = state
    self.server = server
    registration = try server.loop.add(listener.number, for: listener.interest, self)
  }

  func ready(_ readiness: Readiness) {
    for _ in 0..<Self.batch where !acceptOne() { return }
  }

  /// False when no more can be taken now.
  private func acceptOne() -> Bool {
    do throws(SystemError) {
      guard let socket = try Self.turn.withLock({ _ throws(SystemError) in try listener.accept() }) else {
        return false
      }
      if let admission = server.admit(state) {
        let peer = listener.peer(of: socket)
        Connection.start(socket, from: peer, on: state, admission: admission, server: server)
      } else {
        refuse(socket)
      }
      return true
    } catch {
      if error.isOfOneConnection || error.isOutOfDescriptors && refuseOne() { return true }
      // The waiting connection keeps the listener readable: without a pause the loop would spin on it.
      pause()
      return false
    }
  }

  /// Closes a connection for which there is no descriptor; false if not even that can be done.
  private func refuseOne() -> Bool {
    Self.turn.withLock { _ in
      guard spare != nil else { return false }
      spare = nil
      defer { spare = try? Descriptor.spare() }
      guard case .some(.some(let socket)) = try? listener.accept() else { return false }
      refuse(socket)
      return true
    }
  }

  /// Says 503 without waiting for a request. With TLS that would take a handshake, so there the end says it.
  private func refuse(_ socket: consuming Descriptor) {
    if state.isTLS { return }
    guard let stream = try? Stream(socket, tls: nil) else { return }
    let answer = server.handler.response(to: .noRoom, requestID: "")
    let head = PreparedHead(answer.status, answer.fields + [("Content-Length", "0"), ("Connection", "close")])
    let bytes = head.http1 + Array("\r\n".utf8)
    _ = unsafe bytes.withUnsafeBytes { unsafe stream.send($0) }
    stream.endOutput()
    server.handler.refused(.noRoom) { stream.peerAddress?.description ?? "gone" }
    // What has been read does not reset the answer away when the socket is closed.
    var request = ByteBuffer()
    _ = unsafe request.append(upTo: 16 * 1024) { room in
      _ = unsafe stream.receive(into: room)
      return 0
    }
  }

  private func pause() {
    guard let registration else { return }
    try? server.loop.modify(registration, for: .nothing)
    server.loop.setDeadline(server.loop.now.advanced(by: Self.pause), for: registration)
  }

  func deadlinePassed() {
    guard let registration else { return }
    if spare == nil { spare = try? Descriptor.spare() }
    try? server.loop.modify(registration, for: listener.interest)
  }

  /// Serves those who already wait, then closes the listener. Where it outlives this process they wait for the next.
  func finish() {
    guard let registration else { return }
    listener.withdraw()
    // Closing resets what is still in the listener's queue, though the client has long been told it is connected.
    if !listener.isInherited { for _ in 0..<Self.backlog where !acceptOne() { break } }
    server.loop.remove(registration)
    self.registration = nil
  }
}
