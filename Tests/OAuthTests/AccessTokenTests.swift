import Basics
import OAuth
import Testing

@Suite struct AccessTokenTests {
  @Test("A token does not show itself, however it is printed")
  func redacted() {
    let token = AccessToken("eyJ.secret.token")
    for value in [token as Any, [token] as [Any], ["k": token], Optional(token) as Any, (token, 1)] {
      var dumped = ""
      dump(value, to: &dumped)
      for text in ["\(value)", String(describing: value), String(reflecting: value), dumped] {
        #expect(!text.contains("secret.token"), "\(text)")
      }
    }
  }

  @Test("Nor does what is known of one that was minted")
  func mintedIsRedacted() {
    let now = Instant(nanoseconds: 0)
    let token = MintedToken(
      accessToken: AccessToken("secret"), scope: nil, keyID: nil, mintedAt: now,
      expiresAt: now.advanced(by: .seconds(60)), quota: [], upstreamRequestID: nil)
    for value in [token as Any, [token] as [Any], Optional(token) as Any] {
      var dumped = ""
      dump(value, to: &dumped)
      for text in ["\(value)", String(reflecting: value), dumped] {
        // Its first letters, and the numbers of their bytes.
        #expect(!text.contains("sec") && !text.contains("115"), "\(text)")
      }
    }
  }

  @Test("The hash of a token is its SHA-256 in lower-case hexadecimal")
  func hash() {
    #expect(AccessToken("abc").sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  }
}
