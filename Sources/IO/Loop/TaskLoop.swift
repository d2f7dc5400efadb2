import Glibc
import Synchronization

/// The one thread of the slow path: an event loop that runs the jobs of tasks and actors between its turns. What goes
/// from an actor to the next, to libcurl and back, stays on it, and wakes nobody.
///
/// Whatever runs here delays all others by as long as it takes, so that waiting is only for `await`.
package final class TaskLoop: SerialExecutor, TaskExecutor {
  package static let shared = TaskLoop()

  private struct Inbox {
    var jobs: [UnownedJob] = []
    /// The loop waits, or is about to, and has to be woken.
    var isAsleep = false
  }

  /// What only the loop's own thread touches.
  private final class State {
    let events: EventLoop
    var running: [UnownedJob] = []
    var afterwards: [() -> Void] = []

    init(_ events: EventLoop) { self.events = events }
  }

  private let event: Descriptor
  private let inbox = Mutex(Inbox())
  private let thread = Atomic<pthread_t>(0)
  private nonisolated(unsafe) var state: State?
  /// Jobs may make more of them for as long as they like, but descriptors and deadlines have their turn in between.
  private static let batchesPerTurn = 64

  private init() {
    do throws(SystemError) {
      event = try SystemCall.makeEvent()
    } catch {
      fatalError("\(error)")
    }
    EventLoop.start(label: "tasks") { [self] events in
      thread.store(pthread_self(), ordering: .releasing)
      let state = State(events)
      unsafe self.state = state
      _ = try events.add(event.number, for: [.readable, .onChange], Doorbell())
      events.betweenTurns = { [self] in runJobs(state) }
      return state
    } ended: { result in
      fatalError("the loop of tasks has ended: \(result)")
    }
  }

  /// Whether the caller runs on the loop.
  package var isCurrent: Bool { thread.load(ordering: .acquiring) == pthread_self() }

  /// The event loop, for those who run on it.
  package var events: EventLoop { current.events }

  /// Calls `body` on the loop, which the caller runs on, when the jobs that are ready have run: once for all of them.
  package func afterJobs(_ body: @escaping () -> Void) { current.afterwards.append(body) }

  private var current: State {
    guard isCurrent, let state = unsafe state else { fatalError("called from outside of the loop of tasks") }
    return state
  }

  package func enqueue(_ job: UnownedJob) {
    let wasAsleep = inbox.withLock { inbox in
      inbox.jobs.append(job)
      defer { inbox.isAsleep = false }
      return inbox.isAsleep
    }
    if wasAsleep, !isCurrent { SystemCall.signal(event.number) }
  }

  package func checkIsolated() { precondition(isCurrent, "called from outside of the loop of tasks") }

  package func isIsolatingCurrentContext() -> Bool? { isCurrent }

  /// Runs what is ready. True once nothing is, so that the loop may wait.
  private func runJobs(_ state: State) -> Bool {
    for _ in 0..<Self.batchesPerTurn {
      inbox.withLock { inbox in
        swap(&inbox.jobs, &state.running)
        inbox.isAsleep = state.running.isEmpty && state.afterwards.isEmpty
      }
      if state.running.isEmpty {
        if state.afterwards.isEmpty { return true }
        runAfterwards(state)
        continue
      }
      for job in state.running {
        unsafe job.runSynchronously(
          isolatedTo: asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor())
      }
      state.running.removeAll(keepingCapacity: true)
    }
    // It may be that there is always a job.
    runAfterwards(state)
    return false
  }

  private func runAfterwards(_ state: State) {
    let afterwards = state.afterwards
    state.afterwards.removeAll(keepingCapacity: true)
    for body in afterwards { body() }
  }

  /// Wakes the loop, which looks for jobs by itself.
  private final class Doorbell: EventHandler {
    func ready(_ readiness: Readiness) {}

    func deadlinePassed() {}
  }
}
