import Basics
import Foundation
import Testing

@testable import HTTPClient
@testable import OAuth

@Suite struct TokenResponseTests {
  private static let rest = #""token_type":"Bearer","access_token":"a.b.c""#

  @Test(
    "expires_in is read with tolerance",
    arguments: [
      (#"{"expires_in":86400,\#(rest)}"#, 86400), (#"{"expires_in":"3600",\#(rest)}"#, 3600), (#"{\#(rest)}"#, nil),
      (#"{"expires_in":null,\#(rest)}"#, nil), (#"{"expires_in":1.9,\#(rest)}"#, 1),
      (#"{"expires_in":1e300,\#(rest)}"#, 2_592_000), (#"{"expires_in":99999999999,\#(rest)}"#, 2_592_000),
    ] as [(String, Int?)])
  func expiresIn(_ body: String, _ expected: Int?) throws {
    let answer = try TokenResponse(HTTPClient.Response(200, body))
    #expect(answer.expiresIn == expected)
    #expect(answer.accessToken.value == "a.b.c")
  }

  @Test(
    "The token type is Bearer as servers write it, or is not named",
    arguments: [
      #""token_type":"bEARER","#, #""token_type":"BearerToken","#, #""token_type":"bearer_token","#,
      #""token_type":null,"#, "",
    ])
  func types(_ type: String) throws {
    let answer = try TokenResponse(HTTPClient.Response(200, #"{\#(type)"access_token":"x","other":[1,{}]}"#))
    #expect(answer.accessToken.value == "x")
  }

  @Test(
    "scope is a text or a list of texts",
    arguments: [
      (#""read:a write:a""#, "read:a write:a"), (#"["read:a","write:a"]"#, "read:a write:a"), ("null", nil), ("[]", ""),
    ] as [(String, String?)])
  func scopes(_ scope: String, _ expected: String?) throws {
    let answer = try TokenResponse(HTTPClient.Response(200, #"{"scope":\#(scope),\#(Self.rest)}"#))
    #expect(answer.scope == expected)
  }

  @Test("A token may have any visible character that is unambiguous in a header")
  func characters() throws {
    for code in UInt8.min ... .max {
      let character = String(UnicodeScalar(code))
      let token = String(decoding: JSONText.string("a\(character)b"), as: UTF8.self)
      let body = #"{"token_type":"Bearer","access_token":\#(token)}"#
      let isAllowed = (0x21...0x7E).contains(code) && !#"",\"#.contains(character)
      #expect(((try? TokenResponse(HTTPClient.Response(200, body))) != nil) == isAllowed, "\(code)")
    }
  }

  @Test(
    "An answer without a token is a glitch",
    arguments: [
      "", "null", "[]", "\"a\"", "{}", "<html></html>", "{\"access_token\":\"a", "\u{FEFF}garbage",
      #"{"token_type":"Bearer"}"#, #"{"error":"server_error"}"#,
    ])
  func glitches(_ body: String) {
    let error = #expect(throws: TokenError.self) { try TokenResponse(HTTPClient.Response(200, body)) }
    #expect(error?.cause == .upstreamGlitch)
  }

  @Test(
    "An answer that is no usable token is refused",
    arguments: [
      #"{"scope":[1],\#(rest)}"#, #"{"scope":{},\#(rest)}"#, #"{"access_token":1,"token_type":"Bearer"}"#,
      #"{"access_token":"","token_type":"Bearer"}"#, #"{"access_token":"a b","token_type":"Bearer"}"#,
      #"{"access_token":"a\r\nX: y","token_type":"Bearer"}"#, #"{"access_token":"é","token_type":"Bearer"}"#,
      #"{"expires_in":-0.5,\#(rest)}"#, #"{"expires_in":-5,\#(rest)}"#, #"{"expires_in":"soon",\#(rest)}"#,
      #"{"expires_in":"inf",\#(rest)}"#, #"{"expires_in":true,\#(rest)}"#,
      #"{\#(rest),"access_token":"other"}"#, #"{\#(rest),"access\u005ftoken":"other"}"#,
      #"{"access_token":"\#(String(repeating: "a", count: 32 * 1024 + 1))","token_type":"Bearer"}"#,
    ])
  func refused(_ body: String) {
    let error = #expect(throws: TokenError.self) { try TokenResponse(HTTPClient.Response(200, body)) }
    #expect(error?.cause == .invalidUpstreamResponse)
  }

  @Test("An answer in another encoding than UTF-8 is refused")
  func otherEncodings() throws {
    let body = "{\(Self.rest)}"
    for encoding in [String.Encoding.utf16LittleEndian, .utf16BigEndian, .utf32LittleEndian, .utf16] {
      let bytes = try #require(body.data(using: encoding))
      let now = Instant.now
      let answer = HTTPClient.Response(
        status: 200, fields: [], body: Array(bytes), requestedAt: now, receivedAt: now)
      #expect(throws: TokenError.self) { try TokenResponse(answer) }
    }
  }

  @Test("A token of another type than Bearer is refused", arguments: ["DPoP", "mac", "pop", "N_A", "", "Bearer "])
  func types(refused type: String) {
    let error = #expect(throws: TokenError.self) {
      try TokenResponse(HTTPClient.Response(200, #"{"access_token":"a","token_type":"\#(type)"}"#))
    }
    #expect(error?.cause == .tokenValidationFailed)
  }

  @Test("A content coding that nobody asked for is refused")
  func coded() {
    let gzip = #expect(throws: TokenError.self) {
      try TokenResponse(HTTPClient.Response(200, #"{\#(Self.rest)}"#, [("content-encoding", "gzip")]))
    }
    #expect(gzip?.cause == .invalidUpstreamResponse)
  }
}
