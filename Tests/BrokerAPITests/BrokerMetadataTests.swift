import Basics
import Foundation
import HTTPServer
import Testing

@testable import BrokerAPI

@Suite struct BrokerMetadataTests {
  @Test(
    "The issuer is the URL that the client begins with, and the token endpoint beneath what the broker is reached by",
    arguments: [
      // What the broker is reached by; the issuer's path, and whether it stands behind the well-known one.
      ("https://b.example", "", false, "https://b.example"),
      ("https://b.example", "/tenant/v2.0", false, "https://b.example/tenant/v2.0"),
      ("https://b.example", "/tenant", true, "https://b.example/tenant"),
      ("http://127.0.0.1:8080", "/a", false, "http://127.0.0.1:8080/a"),
      // A proxy takes the path off.
      ("https://gw.example/broker", "", false, "https://gw.example/broker"),
      ("https://gw.example/broker", "/tenant", false, "https://gw.example/broker/tenant"),
      ("https://gw.example/broker", "/broker/tenant", false, "https://gw.example/broker/tenant"),
      ("https://gw.example/broker", "/broker", true, "https://gw.example/broker"),
      ("https://gw.example/broker", "/broker/tenant", true, "https://gw.example/broker/tenant"),
      ("https://gw.example/broker", "/brokers", false, "https://gw.example/broker/brokers"),
    ])
  func issuer(_ base: String, _ path: String, _ isBehind: Bool, _ issuer: String) throws {
    let metadata = BrokerMetadata(at: try #require(URLParts(base)), path: path, isBehind: isBehind)
    #expect(metadata.issuer == issuer && metadata.base == base)
  }

  private func read(isOpenID: Bool, asksNobody: Bool = false, keySetURL: String?) throws -> [String: Any] {
    let metadata = BrokerMetadata(
      at: try #require(URLParts("https://b.example")), path: "/t", isBehind: false, isOpenID: isOpenID,
      asksNobody: asksNobody)
    let body = Data(metadata.response(keySetURL: keySetURL).body)
    return try #require(try JSONSerialization.jsonObject(with: body) as? [String: Any])
  }

  @Test("The documents claim one grant and no sign-in; OpenID Connect's has all that it demands")
  func documents() throws {
    let oauth = try read(isOpenID: false, keySetURL: "https://t/jwks")
    #expect(
      Set(oauth.keys) == [
        "issuer", "token_endpoint", "jwks_uri", "grant_types_supported", "response_types_supported",
        "token_endpoint_auth_methods_supported",
      ])
    #expect(oauth["token_endpoint"] as? String == "https://b.example/oauth/token")
    #expect(oauth["grant_types_supported"] as? [String] == ["client_credentials"])
    #expect(oauth["response_types_supported"] as? [String] == [])
    #expect(
      oauth["token_endpoint_auth_methods_supported"] as? [String] == ["client_secret_basic", "client_secret_post"])
    #expect(
      Set(try read(isOpenID: true, keySetURL: "https://t/jwks").keys).subtracting(oauth.keys) == [
        "authorization_endpoint", "subject_types_supported", "id_token_signing_alg_values_supported",
      ])
  }

  @Test("Without callers a client need not prove itself, and without a key set none is named")
  func open() throws {
    let open = try read(isOpenID: true, asksNobody: true, keySetURL: nil)
    #expect((open["token_endpoint_auth_methods_supported"] as? [String])?.last == "none" && open["jwks_uri"] == nil)
  }
}
