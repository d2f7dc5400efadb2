import Basics
import Foundation
import IO
import Testing
import TestSupport

@Suite struct SecretFileTests {
  @Test(
    "A file is read whole, but for white space at its end",
    arguments: [
      ("hunter2", "hunter2"), ("hunter2\n", "hunter2"), ("a\nb\r\n\n ", "a\nb"), ("", ""), ("\n", ""),
      (String(repeating: "x", count: 65536), String(repeating: "x", count: 65536)),
      (String(repeating: "x", count: 65537), nil),
    ] as [(String, String?)])
  func file(_ contents: String, _ expected: String?) throws {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("secret-\(UUID())").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    try contents.write(toFile: path, atomically: false, encoding: .utf8)
    #expect((try? Secret(file: path))?.text == expected)
  }

  @Test("A file that cannot be read is told of in the system's words", arguments: ["/nonexistent", "/"])
  func unreadable(_ path: String) {
    let error = #expect(throws: FileError.self) { try Secret(file: path) }
    #expect(error?.reason.isEmpty == false)
  }
}
