import HTTPServer
import IO

/// What the system does not let the process have, though it cannot serve without.
struct MissingResource: Error, CustomStringConvertible {
  let description: String

  /// What runs beside the loops: that of tasks, the store's, the log's, Swift's pool, Dispatch's own, and look-ups of
  /// tenants' names. Dispatch waits for a thread that it cannot have, without a word and without an end.
  private static let otherThreads = 14

  /// nil if nothing is missing.
  init?(workers: Int, addresses: Int) {
    let (files, least) = (ThisProcess.descriptorLimit, Limits.leastDescriptors(loops: workers, addresses: addresses))
    let threads = workers + Self.otherThreads
    if files < least {
      description =
        "the limit on open files is \(files), and with \(workers) workers the broker needs \(least): raise it "
        + "(ulimit -n, LimitNOFILE=), or lower workers"
    } else if !ThisProcess.canStart(threads: threads) {
      description =
        "the system does not allow \(threads) threads more, which the broker needs with \(workers) workers: raise the "
        + "limit (ulimit -u, TasksMax=, pids.max), or lower workers"
    } else {
      return nil
    }
  }
}
