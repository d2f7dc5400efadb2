import Basics
import BrokerCore
import Dispatch
import Synchronization

/// A command that is sent, and what is done with its reply. One that is let go without an answer is answered with an
/// error.
final class RedisRequest: Sendable {
  typealias Answer = Result<RedisReply, StoreError>

  private struct State {
    var receive: (@Sendable (Answer) -> Void)?
    var redirections = 0
    /// What it was sent elsewhere with.
    var redirection: String?
  }

  let bytes: [UInt8]
  let kind: RedisReply.Kind
  /// Where its keys lie in a cluster; nil if any node can answer.
  let slot: Int?
  let isRead: Bool
  /// It is not sent after this.
  let deadline: Instant
  private let state: Mutex<State>

  init(_ command: RedisCommand, deadline: Instant, receive: @escaping @Sendable (Answer) -> Void) {
    (bytes, kind, slot, isRead) = (command.formatted, command.kind, command.slot, command.isRead)
    self.deadline = deadline
    state = Mutex(State(receive: receive))
  }

  deinit { answer(.failure(.closed)) }

  /// Only the first answer counts.
  func answer(_ answer: Answer) {
    let receive = state.withLock { state in
      defer { state.receive = nil }
      return state.receive
    }
    receive?(answer)
  }

  /// Has it answered at its deadline if nothing else has come by then: with why it was sent elsewhere.
  func expire(after now: Instant) {
    let pause = DispatchTimeInterval.nanoseconds(Int(now.duration(to: deadline).nanoseconds))
    DispatchQueue.global().asyncAfter(deadline: .now() + pause) { [weak self] in
      guard let self else { return }
      let late = Answer.failure(StoreError("no answer in time, after another of the server's nodes was asked"))
      answer(state.withLock(\.redirection).map { .success(.error($0)) } ?? late)
    }
  }

  /// Remembers an error that has it sent elsewhere, or again.
  func note(_ redirection: String) { state.withLock { $0.redirection = redirection } }

  /// Counts that it was not taken where it was sent, and returns how often that was so.
  func redirect() -> Int {
    state.withLock { state in
      state.redirections += 1
      return state.redirections
    }
  }

  /// Has `commands` sent together by `send`, and returns their answers in the same order when all are there.
  static func answers(
    to commands: [RedisCommand], deadline: Instant, send: ([RedisRequest]) -> Void
  ) async -> [Answer] {
    if commands.isEmpty { return [] }
    return await withCheckedContinuation { continuation in
      let answers = Answers(commands.count, continuation)
      send(
        commands.enumerated().map { index, command in
          RedisRequest(command, deadline: deadline) { answers.note($0, at: index) }
        })
    }
  }

  /// Waits for the answers to several.
  private final class Answers: Sendable {
    private let state: Mutex<(answers: [Answer], missing: Int)>
    private let continuation: CheckedContinuation<[Answer], Never>

    init(_ count: Int, _ continuation: CheckedContinuation<[Answer], Never>) {
      state = Mutex((Array(repeating: .failure(.closed), count: count), count))
      self.continuation = continuation
    }

    func note(_ answer: Answer, at index: Int) {
      let all: [Answer]? = state.withLock { state in
        state.answers[index] = answer
        state.missing -= 1
        return state.missing == 0 ? state.answers : nil
      }
      if let all { continuation.resume(returning: all) }
    }
  }
}
