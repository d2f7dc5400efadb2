import Basics
import Testing
import BrokerCore

@testable import Stores

@Suite(.timeLimit(.minutes(1))) struct StoreChangesTests {
  private let changes = StoreChanges()
  private let start = Instant.now
  private var late: Instant { start.advanced(by: .seconds(600)) }
  private let name = StoreName(1)

  /// Waits in a task, and returns once it is waited.
  private func waiter(for name: StoreName, count: Int = 1) async -> Task<Void, Never> {
    let task = Task { [changes, late] in await changes.wait(for: name, until: late) }
    while changes.count < count { await Task.yield() }
    return task
  }

  @Test("A wait ends at its deadline, not before")
  func deadline() async {
    await changes.wait(for: name, until: start.advanced(by: .milliseconds(60)))
    #expect(start.duration(to: .now) >= .milliseconds(60))
    await changes.wait(for: name, until: start)
    #expect(changes.count == 0)
  }

  @Test("All who wait for a name are woken when it is announced, and no others")
  func announcing() async {
    let (first, second) = (await waiter(for: name), await waiter(for: name, count: 2))
    let other = await waiter(for: StoreName(2), count: 3)
    changes.announce(name.bytes)
    await first.value
    await second.value
    #expect(changes.count == 1)
    // A payload that is no name wakes no waiter.
    changes.announce(Array(StoreName(2).bytes.dropLast()))
    #expect(changes.count == 1)
    changes.announceAll()
    await other.value
  }

  @Test("A task that is cancelled waits no longer, and one that was cancelled before does not begin")
  func cancelling() async {
    let task = await waiter(for: name)
    task.cancel()
    await task.value
    #expect(changes.count == 0)
    await Task { [changes, late, name] in
      unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      await changes.wait(for: name, until: late)
    }.value
  }

  @Test("A change since a name is watched ends the next wait at once, and only that one")
  func watching() async {
    changes.watch(name)
    changes.announce(name.bytes)
    await changes.wait(for: name, until: late)
    let again = await waiter(for: name)
    changes.announce(name.bytes)
    await again.value
    changes.watch(name)
    changes.announce(name.bytes)
    changes.forget(name)
    let forgotten = await waiter(for: name)
    changes.announceAll()
    await forgotten.value
  }

  @Test("Waits end when the store is closed, and those to come do not begin")
  func closing() async {
    let task = await waiter(for: name)
    changes.close()
    await task.value
    await changes.wait(for: name, until: late)
  }
}
