import BrokerCore
import Glibc
import IO

/// A lock around opening a store's file, so that nobody opens it while another process puts a new one in its place.
/// SQLite's own locks are on a file, not on what may take its path. Brokers before 0.2 hold it for as long as they run.
enum StoreLock {
  /// How often it is asked for, and how long is waited in between, in microseconds.
  private static let (attempts, pause) = (25, UInt32(10_000))

  /// Runs `body` with the lock on the file at `path`, which stays. Throws if another process keeps it.
  static func hold<Result>(
    _ path: String, _ kind: SystemCall.Lock, _ body: () throws(StoreError) -> Result
  ) throws(StoreError) -> Result {
    for attempt in 1...attempts {
      let lock = try StoreError.explaining(path) { () throws(SystemError) in
        let lock = try SystemCall.open(path, [.readingAndWriting, .creating, .notFollowing, .nonBlocking], mode: 0o600)
        return (try SystemCall.lock(lock, kind)) ? consume lock : nil
      }
      // Another process may have removed the file between the two calls.
      if let lock, Self.is(lock, at: path) {
        // Closing alone would leave it to a child that is just being started, until that closes its copy.
        defer { SystemCall.unlock(lock) }
        return try body()
      }
      if attempt < attempts { usleep(pause) }
    }
    throw StoreError("another process has it")
  }

  private static func `is`(_ descriptor: borrowing Descriptor, at path: String) -> Bool {
    guard let own = try? SystemCall.status(of: descriptor), let found = try? SystemCall.status(of: path) else {
      return false
    }
    return own.isSameFile(as: found)
  }
}
