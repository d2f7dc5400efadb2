import Glibc

@testable import IO

/// A directory of the test's own, which goes with it.
final class Directory {
  let path: String

  init() throws {
    var template = Array("/tmp/sockets-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else { throw SystemError("mkdtemp", errno) }
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit {
    unsafe unlink(socketPath)
    unsafe rmdir(path)
  }

  /// The path of the one file that a test may leave here.
  var socketPath: String { path + "/s" }

  func address(mode: String = "0660") throws -> SocketAddress {
    try SocketAddress(parsing: "unix:\(socketPath)?mode=\(mode)")
  }

  var status: FileStatus? { get throws { try SystemCall.status(of: socketPath) } }
}
