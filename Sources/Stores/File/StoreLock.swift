import BrokerCore
import IO

/// A lock that keeps two processes from using one store. It has a file of its own, which stays: the store's file is a
/// new one after each write.
struct StoreLock: ~Copyable, Sendable {
  private let path: String
  private let descriptor: Descriptor

  /// Throws if another process has the lock.
  init(_ path: String) throws(StoreError) {
    let lock = try StoreError.explaining(path) { () throws(SystemError) in
      let lock = try SystemCall.open(path, [.readingAndWriting, .creating, .notFollowing, .nonBlocking], mode: 0o600)
      return (try SystemCall.lock(lock)) ? consume lock : nil
    }
    // Another process may have removed the file between the two calls.
    guard let lock, Self.is(lock, at: path) else { throw StoreError("another process has it") }
    self.path = path
    descriptor = lock
  }

  deinit {
    // Closing alone would leave it to a child that is just being started, until that closes its copy of the descriptor.
    SystemCall.unlock(descriptor)
  }

  /// False once the file was removed: another process may have locked a new one by now.
  var isHeld: Bool { Self.is(descriptor, at: path) }

  private static func `is`(_ descriptor: borrowing Descriptor, at path: String) -> Bool {
    guard let own = try? SystemCall.status(of: descriptor), let found = try? SystemCall.status(of: path) else {
      return false
    }
    return own.isSameFile(as: found)
  }
}
