import Synchronization

/// The way into an event loop from anywhere else: messages are received on the loop, in order.
package final class Mailbox<Message: Sendable>: Sendable {
  /// So many quiet messages wait at the most.
  private static var mostQuiet: Int { 64 }

  private let event: Descriptor
  private let state = Mutex(State())
  private let hasMail = Atomic(false)

  private struct State {
    var waiting: [Message] = []
    var isRung = false
    var isClosed = false
  }

  package init() throws(SystemError) { event = try SystemCall.makeEvent() }

  /// Lets go of the message if the mailbox is closed. One that is quiet does not wake a loop that sleeps: it is
  /// received before anything else once the loop wakes.
  package func post(_ message: Message, isQuiet: Bool = false) {
    let rings = state.withLock { state in
      if state.isClosed { return false }
      state.waiting.append(message)
      hasMail.store(true, ordering: .releasing)
      if state.isRung || isQuiet && state.waiting.count < Self.mostQuiet { return false }
      state.isRung = true
      return true
    }
    if rings { SystemCall.signal(event.number) }
  }

  /// Delivers to `receive` on `loop`; call once, on the loop.
  package func attach(to loop: EventLoop, receive: @escaping (Message) -> Void) throws(SystemError) {
    _ = try loop.add(event.number, for: [.readable, .onChange], Receiver())
    loop.onWaking { [self] in
      if hasMail.load(ordering: .acquiring) { for message in takeAll() { receive(message) } }
    }
  }

  /// Lets go of what is not received yet, and of all that is posted from now on: for the end of the loop.
  package func close() {
    state.withLock { $0.isClosed = true }
    _ = takeAll()
  }

  private func takeAll() -> [Message] {
    state.withLock { state in
      hasMail.store(false, ordering: .relaxed)
      state.isRung = false
      defer { state.waiting.removeAll() }
      return state.waiting
    }
  }

  /// Ends the loop's wait; each time it wakes the loop looks for mail by itself.
  private final class Receiver: EventHandler {
    func ready(_ readiness: Readiness) {}

    func deadlinePassed() {}
  }
}
