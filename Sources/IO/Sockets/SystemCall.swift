import CLinux
import Glibc

/// Every system call of this package: `EINTR` is handled here, `errno` is read at once, nothing else is decided.
enum SystemCall {
  static func message(for code: Int32) -> String {
    unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      guard let base = buffer.baseAddress else { return "error \(code)" }
      // Swift imports the XSI strerror_r: it fills the buffer and returns 0.
      return unsafe strerror_r(code, base, buffer.count) == 0 ? unsafe String(cString: base) : "error \(code)"
    }
  }

  /// Repeats `body` while a signal interrupts it.
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

  static func close(_ descriptor: Int32) {
    // Never repeated: Linux frees the descriptor even when close reports EINTR.
    _ = Glibc.close(descriptor)
  }

  static func socket(family: Int32) throws(SystemError) -> Descriptor {
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    return Descriptor(try call("socket") { Glibc.socket(family, type, 0) })
  }

  static func setOption(
    _ descriptor: Int32, level: Int32, name: Int32, to value: Int32
  ) throws(SystemError) {
    var value = value
    _ = try call("setsockopt") {
      unsafe setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }
  }

  /// The value of an integer option of SOL_SOCKET.
  static func option(_ descriptor: Int32, _ name: Int32) throws(SystemError) -> Int32 {
    var value: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    _ = try call("getsockopt") { unsafe getsockopt(descriptor, SOL_SOCKET, name, &value, &length) }
    return value
  }

  static func peerCredentials(of descriptor: Int32) throws(SystemError) -> clinux_credentials {
    var credentials = clinux_credentials()
    var length = socklen_t(MemoryLayout<clinux_credentials>.size)
    _ = try call("getsockopt") { unsafe getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) }
    return credentials
  }

  /// The supplementary groups of a Unix socket's peer.
  static func peerGroups(of descriptor: Int32) throws(SystemError) -> [gid_t] {
    var groups = [gid_t](repeating: 0, count: 32)
    while true {
      var length = socklen_t(groups.count * MemoryLayout<gid_t>.size)
      do throws(SystemError) {
        _ = try call("getsockopt") { unsafe getsockopt(descriptor, SOL_SOCKET, SO_PEERGROUPS, &groups, &length) }
        return Array(groups.prefix(Int(length) / MemoryLayout<gid_t>.size))
      } catch {
        if error.code != ERANGE { throw error }
        // There are more; the kernel says how many.
        groups = [gid_t](repeating: 0, count: Int(length) / MemoryLayout<gid_t>.size)
      }
    }
  }

  /// Makes the coming `close` reset the connection instead of ending it (SO_LINGER, zero seconds).
  static func resetOnClose(_ descriptor: Int32) {
    var value = linger(l_onoff: 1, l_linger: 0)
    _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
  }

  static func bind(_ descriptor: Int32, to address: SocketAddress) throws(SystemError) {
    _ = try call("bind") { unsafe address.withSockAddr { unsafe Glibc.bind(descriptor, $0, $1) } }
  }

  static func connect(_ descriptor: Int32, to address: SocketAddress) throws(SystemError) {
    _ = try call("connect") { unsafe address.withSockAddr { unsafe Glibc.connect(descriptor, $0, $1) } }
  }

  static func listen(_ descriptor: Int32, backlog: Int32) throws(SystemError) {
    _ = try call("listen") { Glibc.listen(descriptor, backlog) }
  }

  static func localAddress(of descriptor: Int32) throws(SystemError) -> SocketAddress {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    _ = try call("getsockname") {
      unsafe withUnsafeMutablePointer(to: &storage) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          unsafe getsockname(descriptor, $0, &length)
        }
      }
    }
    return SocketAddress(storage, length: length)
  }

  /// The next connection waiting on a listener, non-blocking; nil when none waits.
  static func accept(_ listener: Int32) throws(SystemError) -> Descriptor? {
    do throws(SystemError) {
      let flags = Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
      return Descriptor(try call("accept4") { accept4(listener, nil, nil, flags) })
    } catch {
      if error.code == EAGAIN { return nil }
      throw error
    }
  }

  /// Bytes read, 0 at the end of the stream, nil when it would block.
  static func receive(
    _ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer
  ) throws(SystemError) -> Int? {
    do throws(SystemError) {
      return try call("recv") { unsafe recv(descriptor, buffer.baseAddress, buffer.count, 0) }
    } catch {
      if error.code == EAGAIN { return nil }
      throw error
    }
  }

  /// The next byte to be read, which stays there; nil when it would block. Throws at the end of the stream.
  static func peek(_ descriptor: Int32) throws(SystemError) -> UInt8? {
    var byte: UInt8 = 0
    do throws(SystemError) {
      let count = try call("recv") { unsafe recv(descriptor, &byte, 1, Int32(MSG_PEEK)) }
      if count == 0 { throw SystemError("recv", ECONNRESET) }
      return byte
    } catch {
      if error.code == EAGAIN { return nil }
      throw error
    }
  }

  /// Bytes written, nil when it would block.
  static func send(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) throws(SystemError) -> Int? {
    do throws(SystemError) {
      return try call("send") {
        unsafe Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
      }
    } catch {
      if error.code == EAGAIN { return nil }
      throw error
    }
  }

  static func endOutput(_ descriptor: Int32) {
    _ = shutdown(descriptor, Int32(SHUT_WR))
  }

  static func makeEpoll() throws(SystemError) -> Descriptor {
    Descriptor(try call("epoll_create1") { epoll_create1(Int32(EPOLL_CLOEXEC)) })
  }

  static func makeEvent() throws(SystemError) -> Descriptor {
    Descriptor(try call("eventfd") { eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)) })
  }

  /// Adds one to an event descriptor's counter: wakes who polls it.
  static func signal(_ event: Int32) {
    var one: UInt64 = 1
    _ = unsafe write(event, &one, 8)
  }

  static func clear(_ event: Int32) {
    var count: UInt64 = 0
    _ = unsafe read(event, &count, 8)
  }

  /// Of the file itself where it is a link; nil where there is none.
  static func status(of path: String) throws(SystemError) -> FileStatus? {
    var status = stat()
    do throws(SystemError) {
      _ = try call("lstat") { unsafe lstat(path, &status) }
      return FileStatus(device: status.st_dev, inode: status.st_ino, mode: status.st_mode)
    } catch {
      if error.code == ENOENT { return nil }
      throw error
    }
  }

  /// Sets the permissions of a descriptor; those of a socket become its file's when it is bound.
  static func setMode(of descriptor: Int32, _ mode: mode_t) throws(SystemError) {
    _ = try call("fchmod") { fchmod(descriptor, mode) }
  }

  /// Sets the permissions of a file, which must be no link.
  static func setMode(of path: String, _ mode: mode_t) throws(SystemError) {
    _ = try call("fchmodat") { unsafe fchmodat(AT_FDCWD, path, mode, AT_SYMLINK_NOFOLLOW) }
  }

  static func unlink(_ path: String) throws(SystemError) {
    _ = try call("unlink") { unsafe Glibc.unlink(path) }
  }

  static func closesOnExec(_ descriptor: Int32) throws(SystemError) -> Bool {
    try call("fcntl") { fcntl(descriptor, F_GETFD) } & FD_CLOEXEC != 0
  }

  static func setClosesOnExec(_ descriptor: Int32) throws(SystemError) {
    _ = try call("fcntl") { fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
  }

  static func setNonBlocking(_ descriptor: Int32) throws(SystemError) {
    let flags = try call("fcntl") { fcntl(descriptor, F_GETFL) }
    _ = try call("fcntl") { fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) }
  }

  static func openNull() throws(SystemError) -> Descriptor {
    Descriptor(try call("open") { unsafe open("/dev/null", O_RDONLY | O_CLOEXEC) })
  }
}
