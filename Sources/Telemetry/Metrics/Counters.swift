import Synchronization

/// Numbers that are counted up, and read by any thread. They lie side by side, so that to count one takes no look-up.
@safe final class Counters: @unchecked Sendable {
  // Unchecked because a pointer is not Sendable; what it points at is atomic.
  private let values: UnsafeMutablePointer<Atomic<Int>>
  private let count: Int
  private let isShared: Bool

  /// `isShared`: more than one thread counts.
  init(count: Int, isShared: Bool) {
    self.count = count
    self.isShared = isShared
    unsafe values = .allocate(capacity: count)
    for index in 0..<count { unsafe (values + index).initialize(to: Atomic(0)) }
  }

  deinit {
    unsafe values.deinitialize(count: count)
    unsafe values.deallocate()
  }

  func add(_ amount: Int, at index: Int) {
    precondition(index >= 0 && index < count)
    if isShared {
      unsafe values[index].add(amount, ordering: .relaxed)
    } else {
      // Nobody else writes, so nothing can come between, and the core need not wait for the line to be its own.
      unsafe values[index].store(values[index].load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }
  }

  subscript(index: Int) -> Int {
    precondition(index >= 0 && index < count)
    return unsafe values[index].load(ordering: .relaxed)
  }
}
