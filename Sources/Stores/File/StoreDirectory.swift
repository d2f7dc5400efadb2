import Glibc
import IO
import BrokerCore

/// The directory that a store's file is in. Whoever may write to it may take the file away, so it is looked at first.
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
      let parent = try FileSystem.open(path + "/..", O_RDONLY | O_DIRECTORY)
      return (try FileSystem.status(of: try open()), try FileSystem.status(of: parent))
    }
    if let objection = Self.objection(to: found, below: parent, user: geteuid()) { throw StoreError(objection) }
  }

  /// Why the directory that was `found` will not do for a process of `user`.
  static func objection(to found: stat, below parent: stat, user: uid_t) -> String? {
    // Whoever mounted something there has decided who comes near it. An emptyDir is such a mount, and open to all (0777),
    // so that every user in its pod can use it.
    if found.st_dev != parent.st_dev { return nil }
    if found.st_uid != user && found.st_uid != 0 { return "its directory belongs to user \(found.st_uid)" }
    // With the sticky bit, as /tmp has it, nobody can take away what is another's.
    if found.st_mode & 0o022 != 0 && found.st_mode & S_ISVTX == 0 {
      return "others than its owner can write to its directory (mode \(Permissions(found.st_mode)))"
    }
    return nil
  }

  /// Returns when the renames in it are on the disk.
  func synchronize() throws(SystemError) {
    do throws(SystemError) {
      try FileSystem.synchronize(try open())
    } catch {
      // Some file systems in user space cannot.
      if error.code != EINVAL { throw error }
    }
  }

  private func open() throws(SystemError) -> Descriptor { try FileSystem.open(path, O_RDONLY | O_DIRECTORY) }

  /// Removes all but the last few of the files whose paths begin with `prefix`, in the order of their names.
  func removeOldest(_ prefix: String, keeping count: Int) {
    let paths = FileSystem.names(in: path).map { path == "/" ? "/" + $0 : path + "/" + $0 }
    for path in paths.filter({ $0.hasPrefix(prefix) }).sorted().dropLast(count) { try? FileSystem.unlink(path) }
  }
}

/// A file's mode as chmod(1) takes it.
struct Permissions: CustomStringConvertible {
  let mode: mode_t

  init(_ mode: mode_t) {
    self.mode = mode & 0o7777
  }

  var description: String { "0" + String(mode, radix: 8) }
}
