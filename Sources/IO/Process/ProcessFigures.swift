import Basics
import Glibc

/// The kernel's figures for this process (proc(5)), for the usual `process_*` metrics.
package struct ProcessFigures {
  /// User and system time.
  package let cpuSeconds: Double
  package let residentBytes: Int
  package let virtualBytes: Int
  package let openDescriptors: Int
  package let maxDescriptors: Int
  /// Unix time.
  package let startedAt: Double

  private static let start = WallClock.now

  /// Notes when the process started.
  package static func begin() { _ = start }

  package init() {
    var usage = rusage()
    unsafe getrusage(RUSAGE_SELF.rawValue, &usage)
    cpuSeconds = Self.seconds(usage.ru_utime) + Self.seconds(usage.ru_stime)
    let pages = (try? File.read("/proc/self/statm")).map { String(decoding: $0, as: UTF8.self).split(separator: " ") }
    let sizes = (pages ?? []).compactMap { Int($0) }.map { $0 * sysconf(Int32(_SC_PAGESIZE)) }
    virtualBytes = sizes.first ?? 0
    residentBytes = sizes.count > 1 ? sizes[1] : 0
    // Without `.`, `..` and the directory itself.
    openDescriptors = max(0, SystemCall.names(in: "/proc/self/fd").count - 3)
    maxDescriptors = ThisProcess.descriptorLimit
    startedAt = Self.start
  }

  private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
}
