import Glibc
import Synchronization

/// Memory that the system is to keep out of swap, for secrets.
///
/// Most secrets live as long as a request. They take turns in a few slots whose pages are locked once: locking and
/// unlocking a page for each costs more than all else that is done with it.
enum LockedMemory {
  private static let slotSize = 2 << 10
  private static let slotCount = 32

  @safe private struct Slots {
    let memory: UnsafeMutableRawBufferPointer
    var free: [Int]

    init() {
      // From the start of a page, so that no more of them are locked than needed: few may be.
      unsafe memory = .allocate(byteCount: slotCount * slotSize, alignment: sysconf(Int32(_SC_PAGESIZE)))
      unsafe LockedPages.hold(memory)
      free = Array(0..<slotCount)
    }

    mutating func take(_ count: Int) -> UnsafeMutableRawBufferPointer? {
      guard count <= slotSize, let slot = free.popLast() else { return nil }
      return unsafe UnsafeMutableRawBufferPointer(rebasing: memory[slot * slotSize..<slot * slotSize + count])
    }

    /// False if no slot is there.
    mutating func put(_ address: UInt) -> Bool {
      let first = UInt(bitPattern: unsafe memory.baseAddress)
      guard address >= first, address < first + UInt(slotCount * slotSize) else { return false }
      free.append(Int(address - first) / slotSize)
      return true
    }
  }

  private static let slots = Mutex(Slots())

  static func allocate(_ count: Int) -> UnsafeMutableRawBufferPointer {
    if let slot = unsafe slots.withLock({ unsafe $0.take(count) }) { return unsafe slot }
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 1)
    unsafe LockedPages.hold(bytes)
    return unsafe bytes
  }

  /// Whoever gives them back has overwritten them.
  static func deallocate(_ bytes: UnsafeMutableRawBufferPointer) {
    let address = UInt(bitPattern: bytes.baseAddress)
    if slots.withLock({ $0.put(address) }) { return }
    unsafe LockedPages.release(bytes)
    unsafe bytes.deallocate()
  }
}

/// Pages of memory that the system is to keep out of swap. It locks a page once, however often that is asked for, so
/// they are counted here: a secret that goes must not unlock its neighbour.
private enum LockedPages {
  private static let size = UInt(sysconf(Int32(_SC_PAGESIZE)))
  private static let holders = Mutex<[UInt: Int]>([:])

  static func hold(_ bytes: UnsafeMutableRawBufferPointer) {
    for page in unsafe pages(of: bytes) {
      holders.withLock { holders in
        holders[page, default: 0] += 1
        if holders[page] == 1 { unsafe _ = mlock(UnsafeRawPointer(bitPattern: page * size), Int(size)) }
      }
    }
  }

  static func release(_ bytes: UnsafeMutableRawBufferPointer) {
    for page in unsafe pages(of: bytes) {
      holders.withLock { holders in
        holders[page, default: 0] -= 1
        if holders[page] == 0 {
          holders[page] = nil
          unsafe _ = munlock(UnsafeRawPointer(bitPattern: page * size), Int(size))
        }
      }
    }
  }

  private static func pages(of bytes: UnsafeMutableRawBufferPointer) -> ClosedRange<UInt> {
    let start = UInt(bitPattern: bytes.baseAddress)
    return start / size...(start + UInt(bytes.count) - 1) / size
  }
}
