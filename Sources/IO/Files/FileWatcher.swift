import CLinux
import Dispatch
import Glibc

/// Tells that a file may have changed: written in place, replaced, or reached another way because a link on its path now
/// leads elsewhere, which is how Kubernetes swaps what it mounts (inotify(7)). What has changed is for the reader to see.
package final class FileWatcher: @unchecked Sendable {
  // Unchecked because Dispatch does not say that its sources are; this one never changes, and any thread may cancel it.
  private let source: any DispatchSourceRead

  /// `changed` is called once at first, so that nothing is missed between reading and watching.
  package init(_ path: String, changed: @escaping @Sendable () -> Void) throws(SystemError) {
    let descriptor = inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))
    if descriptor < 0 { throw SystemError("inotify_init1", errno) }
    let queue = DispatchQueue(label: "file-watcher")
    source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
    Self.watch(path, descriptor)
    source.setEventHandler { [path, descriptor] in
      Self.drain(descriptor)
      // The way to the file may be another one now.
      Self.watch(path, descriptor)
      changed()
    }
    source.setCancelHandler { [descriptor] in _ = close(descriptor) }
    source.activate()
    queue.async(execute: changed)
  }

  deinit {
    source.cancel()
  }

  /// The directories in which a new file would take the old one's place: the one named, and the one that links lead to.
  private static func watch(_ path: String, _ descriptor: Int32) {
    add(directory(of: path), descriptor)
    guard let resolved = unsafe realpath(path, nil) else { return }
    add(directory(of: unsafe String(cString: resolved)), descriptor)
    unsafe free(resolved)
  }

  private static func add(_ directory: String, _ descriptor: Int32) {
    // Not IN_CREATE: a file that has just been made is still to be written.
    let events = IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE
    unsafe _ = inotify_add_watch(descriptor, directory, UInt32(events))
  }

  private static func directory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  private static func drain(_ descriptor: Int32) {
    var buffer = [UInt8](repeating: 0, count: 4096)
    while unsafe read(descriptor, &buffer, buffer.count) > 0 {}
  }
}
