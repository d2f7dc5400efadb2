import Foundation

/// The working copy that the tests were built from.
package enum Repository {
  /// The path of a file that is named from the top level.
  package static func path(_ name: String) -> String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent(name).path
  }

  package static func text(_ name: String) throws -> String { try String(contentsOfFile: path(name), encoding: .utf8) }
}

/// The programs that this machine has.
package enum Programs {
  /// For a test of one that is not in every place of its kind.
  package static func has(_ name: String) -> Bool {
    ["/usr/bin/", "/usr/local/bin/", "/usr/sbin/"].contains { FileManager.default.isExecutableFile(atPath: $0 + name) }
  }
}
