import Basics
import IO
import Logging
import Synchronization

extension FileWatcher {
  /// Calls `changed` when the file holds another password than before; nil, with that logged, if the system has no
  /// watchers left.
  static func ofPassword(in path: String, log: Logger, changed: @escaping @Sendable () -> Void) -> FileWatcher? {
    let last = Mutex(fingerprint(of: path))
    do throws(SystemError) {
      return try FileWatcher(path) {
        let found = fingerprint(of: path)
        let isOther = last.withLock { last in
          defer { last = found }
          return last != found
        }
        // A file that cannot be read says nothing; the next connection will say why.
        guard isOther, found != nil else { return }
        log.info("the store's password has changed", metadata: ["file": "\(path)"])
        changed()
      }
    } catch {
      log.error(
        "changes of the store's password will not be noticed", metadata: ["file": "\(path)", "reason": "\(error)"])
      return nil
    }
  }

  private static func fingerprint(of path: String) -> String? { (try? Secret(file: path))?.fingerprint }
}
