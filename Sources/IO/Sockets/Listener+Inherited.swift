import Glibc

/// Listening sockets that a supervisor such as systemd opened for this process: sd_listen_fds(3).
extension Listener {
  /// The sockets handed over, in their order, each with its name (`FileDescriptorName=`; "unknown" without one); none
  /// unless `LISTEN_PID` names this process. `first` is the number of the first. Call once: then they are owned.
  package static func inherited(
    _ environment: [String: String], first: Int32 = 3
  ) throws(InheritanceError) -> [(name: String, listener: Listener)] {
    guard let owner = environment["LISTEN_PID"], let text = environment["LISTEN_FDS"] else { return [] }
    guard let owner = Int32(owner), owner > 0 else { throw InheritanceError("LISTEN_PID is no process id: '\(owner)'") }
    // The variables were meant for a parent, which has left them in the environment.
    if owner != getpid() { return [] }
    guard let count = Int32(text), count > 0, count < Int32.max - first else {
      throw InheritanceError("LISTEN_FDS is no number of descriptors: '\(text)'")
    }
    let names = environment["LISTEN_FDNAMES"]?.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    if let names, names.count != Int(count) {
      throw InheritanceError("LISTEN_FDNAMES has \(names.count) names for the \(count) descriptors of LISTEN_FDS")
    }
    var found: [(name: String, listener: Listener)] = []
    for index in 0..<count { found.append((names?[Int(index)] ?? "unknown", try Listener(inherited: first + index))) }
    return found
  }

  /// Makes sure that the descriptor is what it must be, and that it blocks nothing and goes no further.
  static func checkInherited(_ number: Int32) throws(InheritanceError) -> SocketAddress {
    do throws(SystemError) {
      // A descriptor that came through an exec does not have this flag: another part of this process opened this one.
      if try SystemCall.closesOnExec(number) { throw SystemError("opened by this very process", EBUSY) }
      guard try SystemCall.option(number, SO_TYPE) == Int32(SOCK_STREAM.rawValue),
        try SystemCall.option(number, SO_ACCEPTCONN) == 1
      else { throw SystemError("no listening stream socket", EINVAL) }
      let address = try SystemCall.localAddress(of: number)
      guard [AF_INET, AF_INET6].contains(address.family) || address.path != nil else {
        throw SystemError("neither TCP nor a Unix socket with a path", EAFNOSUPPORT)
      }
      try SystemCall.setClosesOnExec(number)
      try SystemCall.setNonBlocking(number)
      return address
    } catch {
      throw InheritanceError("descriptor \(number), inherited by LISTEN_FDS, cannot be listened on: \(error)")
    }
  }
}

/// What is wrong with the sockets that a supervisor announced: missing, or not what they must be.
package struct InheritanceError: Error, CustomStringConvertible {
  package let description: String

  init(_ description: String) { self.description = description }
}
