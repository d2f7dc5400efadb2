package import Basics

/// A file that cannot be read or used, and why: in the system's words, or what was expected in it.
package struct FileError: Error {
  package let reason: String

  package init(reason: String) { self.reason = reason }
}

package enum File {
  private static let limit = 1 << 20

  /// The whole of a file of at most 1 MiB.
  package static func read(_ path: String) throws(FileError) -> [UInt8] {
    let bytes: [UInt8]
    do throws(SystemError) {
      bytes = try SystemCall.read(try SystemCall.open(path, .reading), count: limit + 1)
    } catch {
      throw FileError(reason: error.reason)
    }
    if bytes.count > limit { throw FileError(reason: "it is over 1 MiB") }
    return bytes
  }

  package static func isReadable(_ path: String) -> Bool { (try? SystemCall.open(path, .reading)) != nil }

  /// The digest of the whole file; nil if it cannot be read.
  package static func digest(_ path: String) -> SHA256Digest? { (try? read(path)).map { SHA256Digest(of: $0.span) } }

  /// Whether any user of this machine can read the file that a path leads to; false where that cannot be told.
  package static func isReadableByOthers(_ path: String) -> Bool {
    guard let resolved = SystemCall.resolved(path) else { return false }
    // Each directory on the way must let others through.
    var way = resolved[...]
    while let slash = way.lastIndex(of: "/") {
      way = way[..<slash]
      guard let status = try? SystemCall.status(of: way.isEmpty ? "/" : String(way)), status.permissions & 0o001 != 0
      else { return false }
    }
    guard let status = try? SystemCall.status(of: resolved) else { return false }
    return status.kind == .file && status.permissions & 0o004 != 0
  }
}
