import Basics
import Synchronization

@testable import BrokerCore

/// A store in memory, where every claim is granted.
final class MemoryStore: Store {
  private let values = Mutex<[StoreName: [UInt8]]>([:])
  private let counts = Mutex<[StoreName: Int]>([:])
  let condition = StoreCondition(location: "", problem: nil)
  /// Runs before anything is left without a claim, such as what says that a token was thrown away.
  let willMark: @Sendable () async -> Void

  init(willMark: @escaping @Sendable () async -> Void = {}) { self.willMark = willMark }

  func load(_ names: [StoreName]) async throws(StoreError) -> [[UInt8]?] {
    values.withLock { values in names.map { values[$0] } }
  }

  func save(_ entries: [StoreEntry], settling claim: StoreClaim?) async throws(StoreError) {
    if claim == nil { await willMark() }
    values.withLock { values in for entry in entries { values[entry.name] = entry.value } }
  }

  func count(_ name: StoreName, adding count: Int, atLeast: Int, lifetime: Duration) async throws(StoreError) -> Int {
    counts.withLock { counts in
      let total = max(counts[name] ?? 0, atLeast) + count
      counts[name] = total
      return total
    }
  }

  /// Forgets all counts, and returns them.
  func loseCounts() -> [Int] {
    counts.withLock { counts in
      defer { counts = [:] }
      return counts.values.sorted()
    }
  }

  func remove(_ names: [StoreName]) async throws(StoreError) {
    values.withLock { values in for name in names { values[name] = nil } }
  }

  func claim(
    _ name: StoreName, for lease: Duration, loading names: [StoreName]
  ) async throws(StoreError) -> StoreAnswer {
    StoreAnswer(.granted(StoreClaim(name: name, fence: 0)), try await load(names))
  }
  func renew(_ claim: StoreClaim, for lease: Duration) async throws(StoreError) -> Bool { true }
  func waitForChange(of name: StoreName, until deadline: Instant) async {}
  func close() async {}
}
