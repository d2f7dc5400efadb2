import Synchronization
import Testing

@testable import IO

@Suite struct MailboxTests {
  /// A message that counts when it is let go.
  private final class Message: Sendable {
    let counter: Counter

    init(_ counter: Counter) { self.counter = counter }

    deinit { counter.value.add(1, ordering: .relaxed) }
  }

  private final class Counter: Sendable {
    let value = Atomic(0)
  }

  @Test("A mailbox that is closed lets go of the messages that wait, and of all that follow")
  func closing() throws {
    let (mailbox, released) = (try Mailbox<Message>(), Counter())
    mailbox.post(Message(released))
    #expect(released.value.load(ordering: .relaxed) == 0)
    mailbox.close()
    #expect(released.value.load(ordering: .relaxed) == 1)
    mailbox.post(Message(released))
    #expect(released.value.load(ordering: .relaxed) == 2)
  }
}
