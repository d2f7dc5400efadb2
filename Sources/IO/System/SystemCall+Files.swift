import Glibc

extension SystemCall {
  /// How a file is opened (open(2)); every descriptor is closed on exec, too.
  package struct OpenFlags: OptionSet, Sendable {
    package let rawValue: Int32
    package init(rawValue: Int32) { self.rawValue = rawValue }

    /// Only to be read; what is opened with none of the next two.
    package static let reading = OpenFlags(rawValue: O_RDONLY)
    package static let writing = OpenFlags(rawValue: O_WRONLY)
    package static let readingAndWriting = OpenFlags(rawValue: O_RDWR)
    /// Made if it is not there.
    package static let creating = OpenFlags(rawValue: O_CREAT)
    /// With `creating`: fails if it is there.
    package static let exclusive = OpenFlags(rawValue: O_EXCL)
    /// Fails for a symbolic link.
    package static let notFollowing = OpenFlags(rawValue: O_NOFOLLOW)
    /// Does not wait for the other end of a pipe.
    package static let nonBlocking = OpenFlags(rawValue: O_NONBLOCK)
    /// Fails for anything but a directory.
    package static let directory = OpenFlags(rawValue: O_DIRECTORY)
  }

  /// `mode` has the permissions of a file that is made.
  package static func open(_ path: String, _ flags: OpenFlags, mode: UInt32 = 0) throws(SystemError) -> Descriptor {
    Descriptor(try call("open") { unsafe Glibc.open(path, flags.rawValue | O_CLOEXEC, mode) })
  }

  package static func status(of descriptor: borrowing Descriptor) throws(SystemError) -> FileStatus {
    var status = stat()
    let number = descriptor.number
    _ = try call("fstat") { unsafe fstat(number, &status) }
    return FileStatus(status)
  }

  /// The status of the file itself where it is a link; nil where there is none.
  package static func status(of path: String) throws(SystemError) -> FileStatus? {
    var status = stat()
    do throws(SystemError) {
      _ = try call("lstat") { unsafe lstat(path, &status) }
      return FileStatus(status)
    } catch {
      if error.code == ENOENT { return nil }
      throw error
    }
  }

  package enum Lock: Sendable {
    /// For one descriptor alone.
    case exclusive
    /// For any number of descriptors that ask for no more.
    case shared
  }

  /// Locks the whole file for this descriptor (flock(2)). False if another has a lock that this one cannot be beside.
  package static func lock(_ descriptor: borrowing Descriptor, _ kind: Lock) throws(SystemError) -> Bool {
    let number = descriptor.number
    do throws(SystemError) {
      _ = try call("flock") { flock(number, (kind == .exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) }
      return true
    } catch {
      if error.code == EWOULDBLOCK { return false }
      throw error
    }
  }

  package static func unlock(_ descriptor: borrowing Descriptor) { _ = flock(descriptor.number, LOCK_UN) }

  /// Reads once into `buffer`: the bytes read, 0 at the end.
  static func read(
    _ descriptor: borrowing Descriptor, into buffer: UnsafeMutableRawBufferPointer
  ) throws(SystemError) -> Int {
    let number = descriptor.number
    return try call("read") { unsafe Glibc.read(number, buffer.baseAddress, buffer.count) }
  }

  /// The first `limit` bytes, or as many as there are.
  package static func read(_ descriptor: borrowing Descriptor, count limit: Int) throws(SystemError) -> [UInt8] {
    let number = descriptor.number
    var bytes: [UInt8] = []
    bytes.reserveCapacity(min(limit, 1 << 20))
    var chunk = [UInt8](repeating: 0, count: min(limit, 1 << 18))
    while bytes.count < limit {
      let count = try call("read") { unsafe Glibc.read(number, &chunk, min(chunk.count, limit - bytes.count)) }
      if count == 0 { break }
      bytes += chunk[..<count]
    }
    return bytes
  }

  /// Writes all of `bytes`.
  package static func write(_ bytes: [UInt8], to descriptor: borrowing Descriptor) throws(SystemError) {
    try write(bytes[...], to: descriptor.number)
  }

  static func write(_ bytes: ArraySlice<UInt8>, to descriptor: Int32) throws(SystemError) {
    var rest = bytes
    while !rest.isEmpty {
      let count = try call("write") {
        unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
      }
      if count == 0 { throw SystemError("write", EIO) }
      rest = rest.dropFirst(count)
    }
  }

  /// Sets the permissions of a descriptor; those of a socket become its file's when it is bound.
  package static func setMode(of descriptor: borrowing Descriptor, _ mode: UInt32) throws(SystemError) {
    let number = descriptor.number
    _ = try call("fchmod") { fchmod(number, mode) }
  }

  /// Sets the permissions of a file, which must be no link.
  package static func setMode(of path: String, _ mode: UInt32) throws(SystemError) {
    _ = try call("fchmodat") { unsafe fchmodat(AT_FDCWD, path, mode, AT_SYMLINK_NOFOLLOW) }
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

  /// The path without links in it; nil if there is no such file.
  static func resolved(_ path: String) -> String? {
    guard let resolved = unsafe realpath(path, nil) else { return nil }
    defer { unsafe free(resolved) }
    return unsafe String(cString: resolved)
  }

  /// The names of the files in a directory, `.` and `..` among them; none if it cannot be read.
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
