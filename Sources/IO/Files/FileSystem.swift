package import Glibc

/// The system calls on files: `EINTR` is handled here, `errno` is read at once, nothing else is decided.
package enum FileSystem {
  private static func call<Result: SignedInteger>(
    _ name: String, _ body: () -> Result
  ) throws(SystemError) -> Result {
    while true {
      let result = body()
      if result >= 0 { return result }
      let code = errno
      if code != EINTR { throw SystemError(name, code) }
    }
  }

  package static func open(_ path: String, _ flags: Int32, mode: mode_t = 0) throws(SystemError) -> Descriptor {
    Descriptor(try call("open") { unsafe Glibc.open(path, flags | O_CLOEXEC, mode) })
  }

  package static func status(of descriptor: borrowing Descriptor) throws(SystemError) -> stat {
    var status = stat()
    let number = descriptor.number
    _ = try call("fstat") { unsafe fstat(number, &status) }
    return status
  }

  /// Of the file itself where it is a link; nil where there is none.
  package static func status(of path: String) throws(SystemError) -> stat? {
    var status = stat()
    do throws(SystemError) {
      _ = try call("lstat") { unsafe lstat(path, &status) }
      return status
    } catch {
      if error.code == ENOENT { return nil }
      throw error
    }
  }

  /// Locks the whole file for this descriptor alone (flock(2)). False if another has the lock.
  package static func lock(_ descriptor: borrowing Descriptor) throws(SystemError) -> Bool {
    let number = descriptor.number
    do throws(SystemError) {
      _ = try call("flock") { flock(number, LOCK_EX | LOCK_NB) }
      return true
    } catch {
      if error.code == EWOULDBLOCK { return false }
      throw error
    }
  }

  package static func unlock(_ descriptor: borrowing Descriptor) {
    _ = flock(descriptor.number, LOCK_UN)
  }

  /// The first `count` bytes, or as many as there are.
  package static func read(_ descriptor: borrowing Descriptor, count limit: Int) throws(SystemError) -> [UInt8] {
    let number = descriptor.number
    var bytes: [UInt8] = []
    bytes.reserveCapacity(limit)
    var chunk = [UInt8](repeating: 0, count: 1 << 18)
    while bytes.count < limit {
      let count = try call("read") { unsafe Glibc.read(number, &chunk, min(chunk.count, limit - bytes.count)) }
      if count == 0 { break }
      bytes += chunk[..<count]
    }
    return bytes
  }

  /// All of them.
  package static func write(_ bytes: [UInt8], to descriptor: borrowing Descriptor) throws(SystemError) {
    let number = descriptor.number
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = try call("write") {
        unsafe rest.withUnsafeBytes { unsafe Glibc.write(number, $0.baseAddress, $0.count) }
      }
      rest = rest.dropFirst(count)
    }
  }

  package static func setMode(of descriptor: borrowing Descriptor, _ mode: mode_t) throws(SystemError) {
    let number = descriptor.number
    _ = try call("fchmod") { fchmod(number, mode) }
  }

  /// Returns when what was written is on the disk.
  package static func synchronize(_ descriptor: borrowing Descriptor) throws(SystemError) {
    let number = descriptor.number
    _ = try call("fsync") { fsync(number) }
  }

  package static func rename(_ path: String, to other: String) throws(SystemError) {
    _ = try call("rename") { unsafe Glibc.rename(path, other) }
  }

  package static func unlink(_ path: String) throws(SystemError) {
    _ = try call("unlink") { unsafe Glibc.unlink(path) }
  }

  /// The names of the files in a directory; none if it cannot be read.
  package static func names(in directory: String) -> [String] {
    guard let stream = unsafe opendir(directory) else { return [] }
    defer { unsafe _ = closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
      unsafe names.append(
        withUnsafeBytes(of: &entry.pointee.d_name) { unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
    }
    return names
  }
}
