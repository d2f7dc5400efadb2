import Synchronization

/// The way into an event loop from anywhere else: messages are received on the loop, in order.
package final class Mailbox<Message: Sendable>: Sendable {
  private let event: Descriptor
  private let state = Mutex(State())

  private struct State {
    var waiting: [Message] = []
    var isClosed = false
  }

  package init() throws(SystemError) { event = try SystemCall.makeEvent() }

  /// Lets go of the message if the mailbox is closed.
  package func post(_ message: Message) {
    let isFirst = state.withLock { state in
      if state.isClosed { return false }
      state.waiting.append(message)
      return state.waiting.count == 1
    }
    if isFirst { SystemCall.signal(event.number) }
  }

  /// Delivers to `receive` on `loop`; call once, on the loop.
  package func attach(to loop: EventLoop, receive: @escaping (Message) -> Void) throws(SystemError) {
    _ = try loop.add(event.number, for: .readable, Receiver(mailbox: self, receive: receive))
  }

  /// Lets go of what is not received yet, and of all that is posted from now on: for the end of the loop.
  package func close() {
    state.withLock { $0.isClosed = true }
    _ = takeAll()
  }

  private func takeAll() -> [Message] {
    SystemCall.clear(event.number)
    return state.withLock { state in
      defer { state.waiting.removeAll() }
      return state.waiting
    }
  }

  private final class Receiver: EventHandler {
    private let mailbox: Mailbox
    private let receive: (Message) -> Void

    init(mailbox: Mailbox, receive: @escaping (Message) -> Void) {
      self.mailbox = mailbox
      self.receive = receive
    }

    func ready(_ readiness: Readiness) { for message in mailbox.takeAll() { receive(message) } }

    func deadlinePassed() {}
  }
}
