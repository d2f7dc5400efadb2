import Synchronization
import Testing

@testable import IO

@Suite struct TaskLoopTests {
  private actor Resident {
    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe TaskLoop.shared.asUnownedSerialExecutor() }

    var isAtHome: Bool { TaskLoop.shared.isCurrent }

    private var steps: [String] = []

    func order() async -> [String] {
      await withCheckedContinuation { continuation in
        TaskLoop.shared.afterJobs {
          self.assumeIsolated { $0.steps.append("afterwards") }
          continuation.resume()
        }
        for number in 1...3 { Task { steps.append("job \(number)") } }
      }
      return steps
    }
  }

  @Test("A task that prefers the loop, and an actor that lives there, run on its thread, and nobody else does")
  func thread() async {
    #expect(!TaskLoop.shared.isCurrent)
    #expect(await Task(executorPreference: TaskLoop.shared) { TaskLoop.shared.isCurrent }.value)
    #expect(await Resident().isAtHome)
  }

  @Test("What is to come after the jobs comes once all that are ready have run")
  func afterwards() async {
    #expect(await Resident().order() == ["job 1", "job 2", "job 3", "afterwards"])
  }

  @Test("A thousand tasks from other threads at once all run, whether or not the loop sleeps")
  func wakes() async {
    for _ in 0..<20 {
      let count = await withTaskGroup(of: Int.self) { group in
        for _ in 0..<50 { group.addTask(executorPreference: TaskLoop.shared) { TaskLoop.shared.isCurrent ? 1 : 0 } }
        return await group.reduce(0, +)
      }
      #expect(count == 50)
    }
  }
}
