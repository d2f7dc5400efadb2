import CLinux
import Glibc

/// A file descriptor with one owner, closed when the owner lets go of it.
package struct Descriptor: ~Copyable, Sendable {
  package let number: Int32

  package init(_ number: Int32) {
    self.number = number
  }

  deinit {
    SystemCall.close(number)
  }
}

extension Descriptor {
  /// A descriptor to give up when the process has no other left.
  package static func spare() throws(SystemError) -> Descriptor { try SystemCall.openNull() }
}

/// What a whole process decides once.
package enum Process {
  /// A peer that goes away must be an `EPIPE`, not the end of the process.
  package static func ignoreBrokenPipes() {
    _ = signal(SIGPIPE, SIG_IGN)
  }

  /// Keeps secrets out of core dumps, and other processes of the user out of this one's memory.
  package static func forbidCoreDumps() {
    _ = clinux_forbid_core_dumps()
  }

  /// Cores this process may use: its CPU affinity, and not more than its cgroup's quota (version 2), rounded up.
  package static var usableCores: Int {
    let affinity = Int(clinux_affinity_cores())
    guard let quota = cgroupQuota() else { return max(1, affinity) }
    return max(1, min(affinity, Int(quota.rounded(.up))))
  }

  /// `cpu.max` holds "max 100000" or "<microseconds> <period>".
  private static func cgroupQuota() -> Double? {
    guard let file = unsafe fopen("/sys/fs/cgroup/cpu.max", "re") else { return nil }
    defer { unsafe _ = fclose(file) }
    var line = [CChar](repeating: 0, count: 64)
    guard unsafe fgets(&line, Int32(line.count), file) != nil else { return nil }
    let words = line.prefix { $0 != 0 && $0 != 10 }.split(separator: 32).map {
      String(decoding: $0.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
    guard words.count == 2, let quota = Double(words[0]), let period = Double(words[1]), period > 0 else { return nil }
    return quota / period
  }
}
