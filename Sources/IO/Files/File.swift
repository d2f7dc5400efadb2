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

  /// The digest of the whole file; nil if it cannot be read.
  package static func digest(_ path: String) -> SHA256Digest? { (try? read(path)).map { SHA256Digest(of: $0.span) } }
}
