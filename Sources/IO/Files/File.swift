package import Basics
import Glibc

/// A file that could not be read: why, in the system's words.
package struct FileError: Error {
  package let reason: String

  package init(reason: String) {
    self.reason = reason
  }
}

package enum File {
  private static let limit = 1 << 20

  /// The whole of a file of at most 1 MiB.
  package static func read(_ path: String) throws(FileError) -> [UInt8] {
    guard let file = unsafe fopen(path, "re") else { throw FileError(reason: unsafe String(cString: strerror(errno))) }
    defer { unsafe _ = fclose(file) }
    var bytes = [UInt8](repeating: 0, count: limit + 1)
    let count = unsafe fread(&bytes, 1, bytes.count, file)
    // fopen opens directories; reading them is what fails.
    if unsafe ferror(file) != 0 { throw FileError(reason: unsafe String(cString: strerror(errno))) }
    if count > limit { throw FileError(reason: "it is over 1 MiB") }
    return Array(bytes.prefix(count))
  }

  /// nil: it cannot be read.
  package static func digest(_ path: String) -> SHA256Digest? { (try? read(path)).map { SHA256Digest(of: $0.span) } }
}

/// The environment of this process.
package enum ProcessEnvironment {
  package static var variables: [String: String] {
    var variables: [String: String] = [:]
    var entry = unsafe environ
    while let text = unsafe entry.pointee {
      let parts = unsafe String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if parts.count == 2 { variables[String(parts[0])] = String(parts[1]) }
      unsafe entry += 1
    }
    return variables
  }
}
