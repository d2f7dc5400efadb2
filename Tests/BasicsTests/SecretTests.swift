import Basics
import Foundation
import Testing

@Suite struct SecretTests {
  private let secret = Secret("hunter2".utf8)

  @Test("A secret does not show itself, however it is printed")
  func redacted() {
    for value in [secret as Any, [secret] as [Any], ["k": secret], Optional(secret) as Any, (secret, 1)] {
      var dumped = ""
      dump(value, to: &dumped)
      for text in ["\(value)", String(describing: value), String(reflecting: value), dumped] {
        #expect(!text.contains("hunter2"), "\(text)")
      }
    }
  }

  @Test(
    "Secrets are equal if their bytes are",
    arguments: [("hunter2", true), ("hunter3", false), ("hunter", false), ("", false)])
  func equality(_ text: String, _ expected: Bool) {
    #expect((Secret(text.utf8) == secret) == expected)
  }

  @Test("A secret that goes leaves those beside it out of swap")
  func neighbours() throws {
    var secrets = (0..<300).map { Secret("secret \($0)".utf8) }
    let kept = secrets[150]
    #expect(try isLocked(kept))
    secrets = []
    #expect(try isLocked(kept))
  }

  /// Whether the system keeps the memory that it lies in out of swap (proc(5)).
  private func isLocked(_ secret: Secret) throws -> Bool {
    let address = secret.withBytes { bytes in
      unsafe bytes.withUnsafeBufferPointer { UInt(bitPattern: $0.baseAddress) }
    }
    var isThere = false
    // By a handle: String's own reading of it ends after the first page.
    let maps = try #require(try FileHandle(forReadingAtPath: "/proc/self/smaps")?.readToEnd())
    for line in String(decoding: maps, as: UTF8.self).split(separator: "\n") {
      let words = line.split(separator: " ")
      let ends = words[0].split(separator: "-").map { UInt($0, radix: 16) }
      if ends.count == 2, let start = ends[0], let end = ends[1] { isThere = (start..<end).contains(address) }
      if isThere, words[0] == "VmFlags:" { return words.contains("lo") }
    }
    return false
  }

  @Test("A fingerprint tells secrets apart, and is not the beginning of a hash that others could make")
  func fingerprint() {
    let fingerprint = secret.fingerprint
    #expect(fingerprint.wholeMatch(of: /[0-9a-f]{8}/) != nil)
    #expect(Secret("hunter2".utf8).fingerprint == fingerprint && Secret("hunter3".utf8).fingerprint != fingerprint)
    #expect(!SHA256Digest(of: Array("hunter2".utf8).span).hex.hasPrefix(fingerprint))
  }
}
