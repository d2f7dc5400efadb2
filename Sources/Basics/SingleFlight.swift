/// Work that an actor does once for all who need its result at the same time. The actor keeps the result; this keeps
/// only the run under way, and belongs to that one actor.
package final class SingleFlight {
  /// The run under way, nil while there is none. It is over in the same turn of the actor in which the work ends.
  package private(set) var current: Task<Void, Never>?

  package init() {}

  /// Begins `work` on `owner` unless it is under way already. Returns the run, to be waited for.
  @discardableResult package func join<Owner: Actor>(
    on owner: isolated Owner, _ work: @escaping @Sendable (isolated Owner) async -> Void
  ) -> Task<Void, Never> {
    if let current { return current }
    let run = Task {
      await work(owner)
      current = nil
    }
    current = run
    return run
  }
}

extension Task where Success == Void, Failure == Never {
  /// Waits for its end, but no longer than until `deadline`; the task goes on.
  package func wait(until deadline: Instant) async {
    let (end, continuation) = AsyncStream<Void>.makeStream()
    Task<Void, Never> {
      await value
      continuation.finish()
    }
    let alarm = Task<Void, Never> {
      // The first of two ends counts, and this one is the caller's deadline.
      try? await Task<Never, Never>.sleep(until: deadline)
      continuation.finish()
    }
    for await _ in end {}
    alarm.cancel()
  }
}
