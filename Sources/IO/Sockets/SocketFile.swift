import Glibc

/// The file through which a Unix socket is reached: made with its mode, and removed only while it is still the same.
struct SocketFile: Sendable {
  private let path: String
  private let status: FileStatus

  /// Binds `socket` to `path`, where nothing may lie but a socket that nobody listens on any more.
  /// Throws `EADDRINUSE` for one that somebody listens on, `EEXIST` for any other file.
  init(binding socket: borrowing Descriptor, to address: SocketAddress, path: String) throws(SystemError) {
    try Self.clear(address, path)
    // The file gets the socket's own mode less the umask, so at no moment is it more open than asked.
    try SystemCall.setMode(of: socket, address.mode)
    try SystemCall.bind(socket.number, to: address)
    guard let status = try SystemCall.status(of: path) else { throw SystemError("lstat", ENOENT) }
    if status.permissions != address.mode { try SystemCall.setMode(of: path, address.mode) }
    self.path = path
    self.status = status
  }

  /// Removes the socket that a process left behind when it ended.
  private static func clear(_ address: SocketAddress, _ path: String) throws(SystemError) {
    guard let found = try SystemCall.status(of: path) else { return }
    guard found.isSocket else { throw SystemError("the file there is no socket", EEXIST) }
    let probe = try SystemCall.socket(family: address.family)
    do throws(SystemError) {
      try SystemCall.connect(probe.number, to: address)
    } catch {
      switch error.code {
      case ECONNREFUSED: return try SystemCall.unlink(path)
      case ENOENT: return
      // A process listens, and its queue is full.
      case EAGAIN: break
      default: throw error
      }
    }
    throw SystemError("bind", EADDRINUSE)
  }

  /// Removes the file, unless another has replaced it. To be called while the socket is open: until it is closed
  /// the kernel gives the number of its inode to no other file.
  func remove() {
    guard let found = try? SystemCall.status(of: path), found.isSameFile(as: status) else { return }
    try? SystemCall.unlink(path)
  }
}
