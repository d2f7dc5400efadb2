import Glibc
import IO
import BrokerCore

/// Keeps two processes from one store. On a file of its own, which stays: the store's is another with each write.
struct StoreLock: ~Copyable, Sendable {
  private let path: String
  private let descriptor: Descriptor

  /// Throws if another process has it.
  init(_ path: String) throws(StoreError) {
    let lock = try StoreError.explaining(path) { () throws(SystemError) in
      let lock = try FileSystem.open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, mode: 0o600)
      return (try FileSystem.lock(lock)) ? consume lock : nil
    }
    // Between the two calls somebody may have removed it.
    guard let lock, Self.is(lock, at: path) else { throw StoreError("another process has it") }
    self.path = path
    descriptor = lock
  }

  deinit {
    // Closing alone would leave it to a child that is just being started, until that closes its copy of the descriptor.
    FileSystem.unlock(descriptor)
  }

  /// False once the file was removed: another process may have locked a new one by now.
  var isHeld: Bool { Self.is(descriptor, at: path) }

  private static func `is`(_ descriptor: borrowing Descriptor, at path: String) -> Bool {
    guard let own = try? FileSystem.status(of: descriptor), let found = try? FileSystem.status(of: path) else {
      return false
    }
    return own.st_ino == found.st_ino && own.st_dev == found.st_dev
  }
}
