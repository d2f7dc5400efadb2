import Synchronization

/// Asks `condition` again every few milliseconds until it holds. Throws `ChildProcess.Failure`, with `what` was waited
/// for, when `timeout` is over.
package func eventually(
  within timeout: Duration = .seconds(30), _ what: String, _ condition: () async throws -> Bool
) async throws {
  _ = try await eventualValue(within: timeout, what) { try await condition() ? true : nil }
}

/// Asks `body` again every few milliseconds until it gives a value. Throws as `eventually` does.
@discardableResult
package func eventualValue<Value>(
  within timeout: Duration = .seconds(30), _ what: String, _ body: () async throws -> Value?
) async throws -> Value {
  let deadline = ContinuousClock.now.advanced(by: timeout)
  while true {
    // Looked at before the value is, so that there is one last attempt at the deadline.
    let isLast = ContinuousClock.now >= deadline
    if let value = try await body() { return value }
    if isLast { throw inVain(what, timeout) }
    try await Task.sleep(for: .milliseconds(5))
  }
}

private func inVain(_ what: String, _ timeout: Duration) -> ChildProcess.Failure {
  ChildProcess.Failure(description: "there was never \(what), within \(timeout)")
}

/// State that tells those who wait for it of each change, where `eventually` would have to ask again.
package final class Watched<State: Sendable>: Sendable {
  private struct Guarded {
    var state: State
    var watchers: [AsyncStream<Void>.Continuation] = []
  }

  private let guarded: Mutex<Guarded>

  package init(_ state: State) { guarded = Mutex(Guarded(state: state)) }

  package var value: State { guarded.withLock(\.state) }

  package func change(_ body: (inout State) -> Void) {
    guarded.withLock { guarded in
      body(&guarded.state)
      guarded.watchers.removeAll { watcher in
        if case .terminated = watcher.yield() { true } else { false }
      }
    }
  }

  /// Waits until `condition` gives a value; it is asked now and after each change. Throws as `eventually` does.
  @discardableResult
  package func wait<Value>(
    for what: String, within timeout: Duration = .seconds(30), _ condition: () -> Value?
  ) async throws -> Value {
    let (changes, watcher) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    watcher.yield()
    guarded.withLock { $0.watchers.append(watcher) }
    let timer = Task {
      try await Task.sleep(for: timeout)
      watcher.finish()
    }
    defer {
      timer.cancel()
      watcher.finish()
    }
    for await _ in changes {
      if let value = condition() { return value }
    }
    throw inVain(what, timeout)
  }
}
