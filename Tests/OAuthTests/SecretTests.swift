import Basics
import Foundation
import IO
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

  @Test("A fingerprint tells secrets apart, and is not the beginning of a hash that others could make")
  func fingerprint() {
    let fingerprint = secret.fingerprint
    #expect(fingerprint.wholeMatch(of: /[0-9a-f]{8}/) != nil)
    #expect(Secret("hunter2".utf8).fingerprint == fingerprint && Secret("hunter3".utf8).fingerprint != fingerprint)
    #expect(!AccessToken("hunter2").sha256.hasPrefix(fingerprint))
  }

  @Test("Of a client's secrets it is told which the tenant has taken, and which is the previous one")
  func rotation() throws {
    let (old, new) = (Secret("old".utf8), Secret("new".utf8))
    let secrets = ClientSecrets([old])
    #expect(secrets.status.map(\.acceptedAt) == [nil] && secrets.status[0].since != nil)
    secrets.accepted(old)
    #expect(secrets.status[0].acceptedAt != nil)

    #expect(secrets.replace(with: [new]))
    #expect(secrets.status.map(\.fingerprint) == [new.fingerprint, old.fingerprint])
    #expect(secrets.status.map { $0.since == nil } == [false, true], "the second is the previous one")
    #expect(secrets.status.map { $0.acceptedAt == nil } == [true, false])
    secrets.accepted(new)
    #expect(secrets.status.map(\.fingerprint) == [new.fingerprint] && secrets.status[0].acceptedAt != nil)
  }

  @Test("Another configuration with the same secrets knows since when they are in use, and that they were taken")
  func succession() throws {
    let before = ClientSecrets([Secret("a".utf8)])
    before.accepted(Secret("a".utf8))
    let (same, other) = (ClientSecrets([Secret("a".utf8)]), ClientSecrets([Secret("b".utf8)]))
    same.succeed(before)
    other.succeed(before)
    let known = try #require(before.status.first)
    #expect(same.status.count == 1 && same.status[0].since == known.since)
    #expect(same.status[0].acceptedAt == known.acceptedAt)
    #expect(other.status.count == 2 && other.status[0].since != known.since && other.status[0].acceptedAt == nil)
  }

  @Test("The hash of a token is its SHA-256 in lower-case hexadecimal")
  func hash() {
    #expect(AccessToken("abc").sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  }
}
