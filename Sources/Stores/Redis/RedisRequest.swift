import Basics
import BrokerCore
import Synchronization

/// Commands that are sent together, and the caller who waits for their replies. One that is let go without an answer is
/// answered with an error.
final class RedisRequest: Sendable {
  typealias Answer = Result<[RedisReply], StoreError>

  let bytes: [UInt8]
  /// The kind of each reply that there will be.
  let kinds: [RedisReply.Kind]
  let deadline: Instant
  private let waiting: Mutex<CheckedContinuation<Answer, Never>?>

  init(_ commands: [RedisCommand], deadline: Instant, _ continuation: CheckedContinuation<Answer, Never>) {
    bytes = commands.flatMap(\.formatted)
    kinds = commands.map(\.kind)
    self.deadline = deadline
    waiting = Mutex(continuation)
  }

  deinit { answer(.failure(.closed)) }

  /// Only the first answer counts.
  func answer(_ answer: Answer) {
    let continuation = waiting.withLock { waiting in
      defer { waiting = nil }
      return waiting
    }
    continuation?.resume(returning: answer)
  }
}
