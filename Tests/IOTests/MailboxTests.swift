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

  /// Runs a loop with two mailboxes and returns what they have received, in order, once `last` has come.
  private func received(
    until last: String, _ post: (Mailbox<String>, Mailbox<String>) -> Void
  ) async throws -> [String] {
    let (first, second) = (try Mailbox<String>(), try Mailbox<String>())
    let (messages, continuation) = AsyncStream<String>.makeStream()
    EventLoop.start(label: "mailboxes") { loop in
      for mailbox in [first, second] {
        try mailbox.attach(to: loop) { message in
          continuation.yield(message)
          if message == last { loop.stop() }
        }
      }
      return loop
    } ended: { _ in
      continuation.finish()
    }
    post(first, second)
    var all: [String] = []
    for await message in messages { all.append(message) }
    return all
  }

  @Test("What is quiet is received first when anything else wakes the loop")
  func quiet() async throws {
    let all = try await received(until: "2") { first, second in
      first.post("1", isQuiet: true)
      second.post("2")
    }
    #expect(all == ["1", "2"])
  }

  @Test("The sixty-fourth quiet message wakes the loop by itself, so that no more wait")
  func manyQuiet() async throws {
    let all = try await received(until: "64") { first, _ in
      for number in 1...64 { first.post("\(number)", isQuiet: true) }
    }
    #expect(all == (1...64).map(String.init))
  }
}
