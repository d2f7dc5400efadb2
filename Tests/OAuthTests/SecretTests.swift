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

  @Test("The request body is exact, percent-encoded, and as long as it says")
  func body() {
    let grant = Grant(audience: "https://a/?b=c d", scope: "read:a write:a", organization: "org_1")
    let body = grant.body(clientID: "id&", secret: Secret(Array("p+&%= é".utf8)))
    let text = body.withBytes { bytes in String(decoding: bytes.indices.map { bytes[$0] }, as: UTF8.self) }
    #expect(
      text == "grant_type=client_credentials&client_id=id%26&audience=https%3A%2F%2Fa%2F%3Fb%3Dc%20d"
        + "&scope=read%3Aa%20write%3Aa&organization=org_1&client_secret=p%2B%26%25%3D%20%C3%A9")
    #expect(body.count == text.utf8.count)
  }

  @Test("The hash of a token is its SHA-256 in lower-case hexadecimal")
  func hash() {
    #expect(AccessToken("abc").sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  }
}
