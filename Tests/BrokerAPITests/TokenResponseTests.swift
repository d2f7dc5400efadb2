import Basics
import OAuth
import Testing

@testable import BrokerAPI
@testable import BrokerCore
@testable import HTTPServer
@testable import Telemetry

@Suite struct TokenResponseTests {
  private static let now = Instant(nanoseconds: 1_000_000_000_000)

  private func token(_ text: String, scope: String? = nil) -> CachedToken {
    let minted = MintedToken(
      accessToken: AccessToken(text), scope: scope, keyID: nil, mintedAt: Self.now,
      expiresAt: Self.now.advanced(by: .seconds(3600)), quota: [], upstreamRequestID: nil)
    let key = TokenKey(client: "a", grant: Grant(audience: "https://a/"))
    var rules = TokenCache.Rules()
    rules.refreshBefore = .seconds(30)
    return CachedToken(key: key, minted: minted, rules: rules, inPlaceOf: nil, now: Self.now)
  }

  @Test(
    "A JSON answer says what there is of a token, and its scope only where the tenant did",
    arguments: [
      (nil, #"{"access_token":"t.t","token_type":"Bearer","expires_in":3599,"refresh_in":R}"#),
      (
        #"a "b"#,
        #"{"access_token":"t.t","token_type":"Bearer","scope":"a \"b","expires_in":3599,"refresh_in":R}"#
      ),
    ])
  func json(_ scope: String?, _ expected: String) {
    let token = token("t.t", scope: scope)
    let answer = token.response(.json, now: Self.now.advanced(by: .milliseconds(1)))
    let refreshIn = (Self.now.duration(to: token.refreshAt) - .milliseconds(1)) / .seconds(1)
    let body = expected.replacing("R}", with: "\(Int(refreshIn.rounded(.up)))}")
    #expect(String(decoding: answer.body, as: UTF8.self) == body)
  }

  @Test("The other answers are the token alone, in a body and in a field")
  func alone() {
    let token = token("t.t", scope: "a")
    #expect(token.response(.text, now: Self.now).body == Array("t.t".utf8))
    #expect(token.response(.field, now: Self.now).fields.first { $0.name == "Authorization" }?.value == "Bearer t.t")
  }

  @Test("The text of a token that is held lies in memory once")
  func once() {
    let token = token(String(repeating: "t", count: 700))
    func address(_ bytes: some Collection<UInt8>) -> UInt {
      bytes.withContiguousStorageIfAvailable { UInt(bitPattern: $0.baseAddress) } ?? 0
    }
    let answer = address(token.minted.answerStart)
    #expect(answer != 0)
    #expect(address(token.minted.accessToken.bytes) == answer + UInt(#"{"access_token":""#.utf8.count))
  }
}
