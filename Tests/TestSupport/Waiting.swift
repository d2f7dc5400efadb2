/// Asks `condition` again every few milliseconds until it holds. Throws `ChildProcess.Failure`, with `what` was waited
/// for, when `timeout` is over.
public func eventually(
  within timeout: Duration = .seconds(30), _ what: String, _ condition: () async throws -> Bool
) async throws {
  _ = try await eventualValue(within: timeout, what) { try await condition() ? true : nil }
}

/// Asks `body` again every few milliseconds until it gives a value. Throws as `eventually` does.
@discardableResult
public func eventualValue<Value>(
  within timeout: Duration = .seconds(30), _ what: String, _ body: () async throws -> Value?
) async throws -> Value {
  let deadline = ContinuousClock.now.advanced(by: timeout)
  while true {
    // Looked at before the value is, so that there is one last attempt at the deadline.
    let isLast = ContinuousClock.now >= deadline
    if let value = try await body() { return value }
    if isLast { throw ChildProcess.Failure(description: "there was never \(what), within \(timeout)") }
    try await Task.sleep(for: .milliseconds(5))
  }
}
