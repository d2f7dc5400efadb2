import Basics
import Foundation
import TestSupport
import Testing

@testable import OAuth

/// Keys made by OpenSSL, and assertions verified by Authlib.
@Suite(.timeLimit(.minutes(2))) struct AssertionKeyTests {
  private static let commands = [
    "pkcs8-rsa": "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048",
    "pkcs1-rsa": "openssl genrsa -traditional 2048",
    "pkcs8-ec": "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
    "sec1-ec": "openssl ecparam -name prime256v1 -genkey -noout",
    "sec1-ec-parameters": "openssl ecparam -name prime256v1 -genkey",
    "small-rsa": "openssl genrsa 1024",
    "p384": "openssl ecparam -name secp384r1 -genkey -noout",
    "encrypted": "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes128 -pass pass:hunter2",
    "encrypted-pkcs1": "openssl genrsa -traditional -aes128 -passout pass:hunter2 2048",
    "ed25519": "openssl genpkey -algorithm ed25519",
  ]

  private static func pem(_ kind: String) async throws -> String {
    try await ChildProcess.run("sh", ["-c", try #require(commands[kind])]).output
  }

  /// Claims and header as another library reads them after it has verified the signature, by way of the public key that
  /// OpenSSL derives.
  private static func verify(_ token: String, _ pem: String, _ algorithm: String) async throws -> (
    String, [String: Any]
  ) {
    let program = """
      import json, os
      from authlib.jose import JsonWebToken, JsonWebKey
      from cryptography.hazmat.primitives import serialization as s
      private = s.load_pem_private_key(os.environ["PEM"].encode(), None)
      public = private.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo)
      claims = JsonWebToken([os.environ["ALG"]]).decode(os.environ["TOKEN"], public)
      claims.validate()
      print(json.dumps({"header": claims.header, "claims": dict(claims)}))
      """
    let result = try await ChildProcess.run(
      "/usr/bin/python3", ["-c", program], environment: ["PEM": pem, "ALG": algorithm, "TOKEN": token])
    let document = try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: [String: Any]]
    return (result.errors, try #require(document?["header"]).merging(try #require(document?["claims"])) { $1 })
  }

  @Test(
    "An assertion says who it is from and for, is short-lived and verified by others",
    arguments: [
      ("pkcs8-rsa", nil, "RS256"), ("pkcs1-rsa", .ps256, "PS256"), ("pkcs1-rsa", .rs256, "RS256"),
      ("pkcs8-ec", nil, "ES256"), ("sec1-ec", .es256, "ES256"), ("sec1-ec-parameters", nil, "ES256"),
    ] as [(String, AssertionKey.Algorithm?, String)])
  func signed(_ kind: String, _ algorithm: AssertionKey.Algorithm?, _ expected: String) async throws {
    let pem = try await Self.pem(kind)
    let keyID = kind.hasSuffix("ec") ? nil : "key 1"
    let key = try AssertionKey(
      pem: Secret("# a comment\n\(pem)\n".utf8), algorithm: algorithm, keyID: keyID)
    let before = Int(Date().timeIntervalSince1970)
    let token = try await ClientAssertion(clientID: "client/é", audience: "https://a/").signed(with: key)
    let (errors, facts) = try await Self.verify(token.text, pem, expected)
    #expect(facts["alg"] as? String == expected && facts["kid"] as? String == keyID, "\(errors)")
    #expect(facts["iss"] as? String == "client/é" && facts["sub"] as? String == "client/é")
    #expect(facts["aud"] as? String == "https://a/")
    let issued = try #require(facts["iat"] as? Int)
    #expect(facts["exp"] as? Int == issued + 60 && issued >= before && issued <= before + 30)
    #expect((facts["jti"] as? String)?.isEmpty == false)
  }

  @Test(
    "An assertion's header names a key id as text or not at all, and no member of it is null", arguments: [nil, "k"])
  func header(_ keyID: String?) async throws {
    let key = try AssertionKey(pem: Secret(try await Self.pem("pkcs8-ec").utf8), keyID: keyID)
    let token = try await ClientAssertion(clientID: "c", audience: "a").signed(with: key).text
    let parts = try token.split(separator: ".").prefix(2).map { part in
      String(decoding: try #require(Base64URL.decode(part)), as: UTF8.self)
    }
    #expect(parts[0].contains("\"kid\"") == (keyID != nil), "\(parts[0])")
    #expect(!parts.contains { $0.contains("null") })
  }

  @Test("No two assertions share a jti")
  func fresh() {
    let ids = (0..<1000).map { _ in ClientAssertion(clientID: "c", audience: "a", now: 0).jti }
    #expect(Set(ids).count == 1000)
  }

  @Test("An assertion that Auth0 would not read is not sent")
  func length() async throws {
    let key = try AssertionKey(pem: Secret(try await Self.pem("pkcs8-ec").utf8))
    for (count, isSigned) in [(100, true), (2000, false)] {
      let assertion = ClientAssertion(clientID: "c", audience: String(repeating: "x", count: count))
      do throws(TokenError) {
        let count = try await assertion.signed(with: key).count
        #expect(isSigned && count <= 2048)
      } catch {
        #expect(!isSigned && error.cause == .brokerMisconfigured && error.message.contains("2048"))
      }
    }
  }

  @Test(
    "A key that cannot serve is refused, in words that say why and nothing of it",
    arguments: [
      ("small-rsa", nil, "2048"), ("p384", nil, "P-256"), ("encrypted", nil, "passphrase"),
      ("encrypted-pkcs1", nil, "passphrase"), ("ed25519", nil, "P-256"), ("pkcs8-ec", .rs256, "EC key"),
      ("pkcs8-rsa", .es256, "RSA key"),
    ] as [(String, AssertionKey.Algorithm?, String)])
  func unusable(_ kind: String, _ algorithm: AssertionKey.Algorithm?, _ reason: String) async throws {
    let pem = Secret(try await Self.pem(kind).utf8)
    let error = #expect(throws: InvalidSetting.self) { try AssertionKey(pem: pem, algorithm: algorithm) }
    #expect(error?.setting == "privateKeyFile" && error?.reason.contains(reason) == true, "\(error?.reason ?? "")")
  }

  @Test(
    "What is no key is refused",
    arguments: ["", "hunter2", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n"])
  func nonsense(_ text: String) {
    let error = #expect(throws: InvalidSetting.self) { try AssertionKey(pem: Secret(text.utf8)) }
    #expect(error?.description.contains("hunter2") == false)
  }

  @Test("A client's key and secrets do not show themselves, however it is printed")
  func redacted() async throws {
    let pem = try await Self.pem("pkcs8-ec")
    let lines = pem.split(separator: "\n").filter { !$0.hasPrefix("-") }
    let key = try AssertionKey(pem: Secret(pem.utf8))
    #expect("\(key)" == "<redacted>" && Mirror(reflecting: key).children.isEmpty)
    let authentications: [ClientAuthentication] = [
      .privateKeyJWT(key), .secretPost(ClientSecrets([Secret("hunter2".utf8)])),
      .secretBasic(ClientSecrets([Secret("hunter2".utf8)])),
    ]
    for authentication in authentications {
      let client = OAuthClient.auth0(baseURL: "https://a", clientID: "c", authentication: authentication)
      for value in [client as Any, authentication, key, try authentication.candidates()] {
        var dumped = ""
        dump(value, to: &dumped)
        for text in ["\(value)", String(reflecting: value), dumped] {
          #expect(!text.contains("hunter2") && !lines.contains { text.contains($0) }, "\(text)")
        }
      }
    }
  }
}
