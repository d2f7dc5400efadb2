import Glibc

/// The system calls of the project. `EINTR` is handled here and `errno` is read at once; nothing else is decided.
package enum SystemCall {
  /// Repeats `body` while a signal interrupts it.
  static func call<Result: SignedInteger>(_ name: String, _ body: () -> Result) throws(SystemError) -> Result {
    while true {
      let result = body()
      if result >= 0 { return result }
      let code = errno
      if code != EINTR { throw SystemError(name, code) }
    }
  }

  /// The same; nil where the call would block.
  static func callUnlessBlocked<Result: SignedInteger>(
    _ name: String, _ body: () -> Result
  ) throws(SystemError) -> Result? {
    do throws(SystemError) { return try call(name, body) } catch {
      if error.code == EAGAIN { return nil }
      throw error
    }
  }

  /// What the system says of an error, for people.
  static func message(for code: Int32) -> String {
    unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      guard let base = buffer.baseAddress else { return "error \(code)" }
      // Swift imports the XSI strerror_r: it fills the buffer and returns 0.
      return unsafe strerror_r(code, base, buffer.count) == 0 ? unsafe String(cString: base) : "error \(code)"
    }
  }

  static func close(_ descriptor: Int32) {
    // Never repeated: Linux frees the descriptor even when close reports EINTR.
    _ = Glibc.close(descriptor)
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
}
