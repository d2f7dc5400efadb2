import BrokerCore
import IO

/// The directory that a store's file is in. A user who can write to it can remove the file, so it is checked first.
struct StoreDirectory {
  let path: String

  init(of file: String) {
    guard let slash = file.lastIndex(of: "/") else {
      path = "."
      return
    }
    path = slash == file.startIndex ? "/" : String(file[..<slash])
  }

  /// Throws why no store may be kept in it.
  func check() throws(StoreError) {
    let (found, parent) = try StoreError.explaining("its directory") { () throws(SystemError) in
      let parent = try SystemCall.open(path + "/..", .directory)
      return (try SystemCall.status(of: try open()), try SystemCall.status(of: parent))
    }
    if let objection = Self.objection(to: found, below: parent, user: ThisProcess.user) { throw StoreError(objection) }
  }

  /// Why a directory is not safe for a process of `user`; nil if it is. `found` is its status, `parent` that of the
  /// directory above it.
  static func objection(to found: FileStatus, below parent: FileStatus, user: UInt32) -> String? {
    // A mount point is what the administrator made it. An emptyDir of Kubernetes is one, and open to all (0777), so
    // that every user in its pod can use it.
    if found.device != parent.device { return nil }
    if found.owner != user && found.owner != 0 { return "its directory belongs to user \(found.owner)" }
    // With the sticky bit, as /tmp has it, no user can remove the files of another.
    if found.mode & 0o022 != 0 && !found.isSticky {
      return "others than its owner can write to its directory (mode \(found.modeText))"
    }
    return nil
  }

  /// Returns when the renames in it are on the disk.
  func synchronize() throws(SystemError) {
    do throws(SystemError) {
      try SystemCall.synchronize(try open())
    } catch {
      // Some file systems in user space cannot.
      if !error.isInvalidArgument { throw error }
    }
  }

  private func open() throws(SystemError) -> Descriptor { try SystemCall.open(path, .directory) }

  /// Removes all but the last few of the files whose paths begin with `prefix`, in the order of their names.
  func removeOldest(_ prefix: String, keeping count: Int) {
    let paths = SystemCall.names(in: path).map { path == "/" ? "/" + $0 : path + "/" + $0 }
    for path in paths.filter({ $0.hasPrefix(prefix) }).sorted().dropLast(count) { try? SystemCall.unlink(path) }
  }
}

extension FileStatus {
  /// The file's permissions as chmod(1) reads them.
  var modeText: String { "0" + String(permissions, radix: 8) }
}
