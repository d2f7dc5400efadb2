import Synchronization

/// The way into an event loop from anywhere else: messages are received on the loop, in order.
package final class Mailbox<Message: Sendable>: Sendable {
  private let event: Descriptor
  private let waiting = Mutex<[Message]>([])

  package init() throws(SystemError) {
    event = try SystemCall.makeEvent()
  }

  package func post(_ message: Message) {
    let first = waiting.withLock { waiting in
      waiting.append(message)
      return waiting.count == 1
    }
    if first { SystemCall.signal(event.number) }
  }

  /// Delivers to `receive` on `loop`; call once, on the loop.
  package func attach(to loop: EventLoop, receive: @escaping (Message) -> Void) throws(SystemError) {
    _ = try loop.add(event.number, for: .readable, Receiver(mailbox: self, receive: receive))
  }

  /// What is not received yet: for the end, when there is no loop to receive it.
  package func takeAll() -> [Message] {
    SystemCall.clear(event.number)
    return waiting.withLock { waiting in
      defer { waiting.removeAll() }
      return waiting
    }
  }

  private final class Receiver: EventHandler {
    private let mailbox: Mailbox
    private let receive: (Message) -> Void

    init(mailbox: Mailbox, receive: @escaping (Message) -> Void) {
      self.mailbox = mailbox
      self.receive = receive
    }

    func ready(_ readiness: Readiness) {
      for message in mailbox.takeAll() { receive(message) }
    }

    func deadlinePassed() {}
  }
}
