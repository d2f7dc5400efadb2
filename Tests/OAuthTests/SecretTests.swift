import Foundation
import Testing

@testable import OAuth

@Suite struct SecretTests {
  private let secret = Secret(Array("hunter2".utf8))

  @Test("A secret and a token do not show themselves, however they are printed")
  func redacted() {
    let token = AccessToken("eyJ.secret.token")
    for value in [secret as Any, token, [secret] as [Any], ["k": token], Optional(secret) as Any, (secret, token)] {
      var dumped = ""
      dump(value, to: &dumped)
      for text in ["\(value)", String(describing: value), String(reflecting: value), dumped] {
        #expect(!text.contains("hunter2") && !text.contains("secret.token"), "\(text)")
      }
    }
  }

  @Test("Comparison is by content", arguments: [("hunter2", true), ("hunter3", false), ("hunter", false), ("", false)])
  func equality(_ text: String, _ expected: Bool) {
    #expect((Secret(Array(text.utf8)) == secret) == expected)
  }

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
    let error = #expect(throws: Secret.Unreadable.self) { try Secret(file: path) }
    #expect(error?.reason.isEmpty == false)
  }

  @Test("The hash of a token is its SHA-256 in lower-case hexadecimal")
  func hash() {
    #expect(AccessToken("abc").sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  }
}
