import Glibc

/// What stat(2) tells of a file.
package struct FileStatus: Sendable {
  package enum Kind: Sendable { case file, directory, link, socket, other }

  package var device: UInt64 = 0
  package var inode: UInt64 = 0
  /// The kind of file and its permissions, as `st_mode` has them.
  package var mode: UInt32
  /// The id of the user that it belongs to.
  package var owner: UInt32 = 0
  /// In bytes.
  package var size = 0

  /// The permissions alone, with the set-id and sticky bits.
  package var permissions: UInt32 { mode & 0o7777 }
  /// Whether only the owner of a file in this directory may take it away (the sticky bit).
  package var isSticky: Bool { mode & S_ISVTX != 0 }

  package var kind: Kind {
    switch mode & S_IFMT {
    case S_IFREG: .file
    case S_IFDIR: .directory
    case S_IFLNK: .link
    case S_IFSOCK: .socket
    default: .other
    }
  }

  package var isSocket: Bool { kind == .socket }

  package func isSameFile(as other: FileStatus) -> Bool { device == other.device && inode == other.inode }
}

extension FileStatus {
  init(_ status: stat) {
    self.init(
      device: UInt64(status.st_dev), inode: UInt64(status.st_ino), mode: status.st_mode, owner: status.st_uid,
      size: status.st_size)
  }
}
