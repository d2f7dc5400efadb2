import Dispatch

/// Tells that a file may have changed: written in place, replaced, or reached another way because a link on its path
/// now leads elsewhere, which is how Kubernetes swaps what it mounts (inotify(7)). What has changed, if anything, is
/// for the caller to find out.
package final class FileWatcher: @unchecked Sendable {
  // Unchecked because Dispatch does not declare its sources Sendable; any thread may cancel this one.
  private let source: any DispatchSourceRead

  /// `changed` is called once at first, so that nothing is missed between reading and watching.
  package init(_ path: String, changed: @escaping @Sendable () -> Void) throws(SystemError) {
    let descriptor = try SystemCall.makeInotify()
    let queue = DispatchQueue(label: "file-watcher")
    source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
    Self.watch(path, descriptor)
    source.setEventHandler { [path, descriptor] in
      SystemCall.drain(descriptor)
      // A link on the path may lead elsewhere now.
      Self.watch(path, descriptor)
      changed()
    }
    source.setCancelHandler { [descriptor] in SystemCall.close(descriptor) }
    source.activate()
    queue.async(execute: changed)
  }

  deinit { source.cancel() }

  /// Watches the directories in which a new file would replace the old one: the one named, and the one that links lead
  /// to.
  private static func watch(_ path: String, _ descriptor: Int32) {
    SystemCall.watch(directory(of: path), with: descriptor)
    if let resolved = SystemCall.resolved(path) { SystemCall.watch(directory(of: resolved), with: descriptor) }
  }

  private static func directory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}
