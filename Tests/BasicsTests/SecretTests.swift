import Basics
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

  @Test("A fingerprint tells secrets apart, and is not the beginning of a hash that others could make")
  func fingerprint() {
    let fingerprint = secret.fingerprint
    #expect(fingerprint.wholeMatch(of: /[0-9a-f]{8}/) != nil)
    #expect(Secret("hunter2".utf8).fingerprint == fingerprint && Secret("hunter3".utf8).fingerprint != fingerprint)
    #expect(!SHA256Digest(of: Array("hunter2".utf8).span).hex.hasPrefix(fingerprint))
  }
}
