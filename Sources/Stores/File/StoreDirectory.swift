import BrokerCore
import IO

/// The directory that a store's file is in. Whoever may write to it may take the file away, so it is checked first.
struct StoreDirectory {
  let path: String

  init(of file: String) {
    guard let slash = file.lastIndex(of: "/") else {
      path = "."
      return
    }
    path = slash == file.startIndex ? "/" : String(file[..<slash])
  }

  /// Throws why nothing may be kept in it.
  func check() throws(StoreError) {
    let (found, parent) = try StoreError.explaining("its directory") { () throws(SystemError) in
      let parent = try SystemCall.open(path + "/..", .directory)
      return (try SystemCall.status(of: try open()), try SystemCall.status(of: parent))
    }
    if let objection = Self.objection(to: found, below: parent, user: ThisProcess.user) { throw StoreError(objection) }
  }

  /// Why a directory will not do for a process of `user`: `found` is its status, `parent` that of the directory above it.
  static func objection(to found: FileStatus, below parent: FileStatus, user: UInt32) -> String? {
    // Whoever mounted something there has decided who comes near it. An emptyDir is such a mount, and open to all (0777),
    // so that every user in its pod can use it.
    if found.device != parent.device { return nil }
    if found.owner != user && found.owner != 0 { return "its directory belongs to user \(found.owner)" }
    // With the sticky bit, as /tmp has it, nobody can take away what is another's.
    if found.mode & 0o022 != 0 && !found.isSticky {
      return "others than its owner can write to its directory (mode \(Permissions(found)))"
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

/// A file's mode as chmod(1) takes it.
struct Permissions: CustomStringConvertible {
  private let mode: UInt32

  init(_ status: FileStatus) {
    mode = status.permissions
  }

  var description: String { "0" + String(mode, radix: 8) }
}
