import CArguments
import CLinux
import Glibc

/// Settings and facts of the process as a whole.
package enum ThisProcess {
  /// The program's name, and what it was told on the command line, as C's `main` gets them. Empty where whoever started
  /// the process gave none.
  package static var arguments: [String] {
    (0..<carguments_count()).compactMap { unsafe carguments_at($0).map { unsafe String(cString: $0) } }
  }

  /// A peer that goes away must be an `EPIPE`, a file that may not grow an `EFBIG`, and neither the end of the process.
  package static func ignoreFailingWrites() {
    _ = signal(SIGPIPE, SIG_IGN)
    _ = signal(SIGXFSZ, SIG_IGN)
  }

  /// Signals that other services take for "open the logs again" and the like must not end this one.
  package static func ignoreUserSignals() {
    _ = signal(SIGUSR1, SIG_IGN)
    _ = signal(SIGUSR2, SIG_IGN)
  }

  /// Keeps secrets out of core dumps, and other processes of the user out of this one's memory.
  package static func forbidCoreDumps() { _ = clinux_forbid_core_dumps() }

  /// Lets the process open as many descriptors as it is allowed to: the default is meant for interactive use.
  package static func raiseDescriptorLimit() {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }

  /// Gives back what only the start needed. The allocator keeps what is freed, in each thread's own arena; and the
  /// system takes in sixteen pages of code or constants for each one that is used, most of which never are again: those
  /// that are get back in at the cost of a page fault, without reading the file.
  package static func releaseStartMemory() {
    _ = malloc_trim(0)
    clinux_unmap_all_constants()
  }

  /// Has the allocator make no more arenas than there are cores, beyond which none is used at a time, instead of eight
  /// times as many: each keeps what its threads have freed. To be called before there is a second thread.
  package static func limitArenas() { _ = mallopt(M_ARENA_MAX, Int32(clamping: usableCores)) }

  /// How many descriptors the process may have open.
  package static var descriptorLimit: Int {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
    return Int(clamping: limit.rlim_cur)
  }

  /// The user that this process acts as (its effective id).
  package static var user: UInt32 { geteuid() }

  /// Whether it is the first process of a container, beside which usually no other user has any.
  package static var isAlone: Bool { getpid() == 1 }

  /// Ends the process at once.
  package static func exit(_ status: Int32) -> Never { Glibc.exit(status) }

  /// Cores this process may use: its CPU affinity, and not more than the quota of its cgroups, rounded up.
  package static var usableCores: Int {
    let affinity = Int(clinux_affinity_cores())
    guard let quota = CPUQuota.cores else { return max(1, affinity) }
    return max(1, min(affinity, Int(quota.rounded(.up))))
  }

  /// Whether the system lets this process have so many threads more at a time.
  package static func canStart(threads: Int) -> Bool { clinux_can_start_threads(Int32(threads)) }

  /// Whether /proc is there and shows this process under its own number. Dispatch looks there for its threads, and ends
  /// the process where it does not find one (libdispatch's event/workqueue.c).
  package static var isInProc: Bool {
    guard let stat = try? File.read("/proc/self/stat") else { return false }
    return String(decoding: stat, as: UTF8.self).split(separator: " ").first.flatMap { Int32($0) } == getpid()
  }
}
