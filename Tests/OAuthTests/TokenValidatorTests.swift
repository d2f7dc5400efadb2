import Basics
import Crypto
import Foundation
import JWTKit
import Testing

@testable import OAuth

/// Against keys and tokens made here with jwt-kit, not by the development tenant.
@Suite struct TokenValidatorTests {
  private static let now = 1_800_000_000.0
  private static let issuer = "https://tenant.example.com/"
  private static let audience = "https://api.example.com/"
  private let validator = TokenValidator(issuer: issuer)
  private let key = ES256PrivateKey()

  /// Any claims, as a JWT payload.
  private struct Claims: JWTPayload {
    var values: [String: Value]

    init(_ values: [String: Value]) { self.values = values }
    init(from decoder: any Decoder) throws { values = try [String: Value](from: decoder) }
    func encode(to encoder: any Encoder) throws { try values.encode(to: encoder) }
    func verify(using algorithm: some JWTAlgorithm) async throws {}
  }

  enum Value: Codable, Sendable, ExpressibleByStringLiteral, ExpressibleByFloatLiteral {
    case text(String), number(Double), list([String]), object([String: String])

    init(stringLiteral value: String) { self = .text(value) }
    init(floatLiteral value: Double) { self = .number(value) }

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let text = try? container.decode(String.self) {
        self = .text(text)
      } else {
        self = .number(try container.decode(Double.self))
      }
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      switch self {
      case .text(let text): try container.encode(text)
      case .number(let number): try container.encode(number)
      case .list(let list): try container.encode(list)
      case .object(let object): try container.encode(object)
      }
    }
  }

  private static let good: [String: Value] = [
    "iss": .text(issuer), "aud": .text(audience), "exp": .number(now + 600), "iat": .number(now),
  ]

  private func sign(_ claims: [String: Value], kid: JWKIdentifier = "a") async throws -> AccessToken {
    let keys = JWTKeyCollection()
    await keys.add(ecdsa: key, kid: kid)
    return AccessToken(try await keys.sign(Claims(claims), kid: kid))
  }

  /// The key set that publishes the public half.
  private func published(kid: String = "a", alg: String? = "ES256", use: String? = "sig") throws -> KeySet {
    let parameters = try #require(key.publicKey.parameters)
    let members = [
      "kty": "EC", "crv": "P-256", "kid": kid, "alg": alg, "use": use, "x": Self.url(parameters.x),
      "y": Self.url(parameters.y),
    ].compactMapValues(\.self)
    return try KeySet(json: Array(JSONEncoder().encode(["keys": [members]])))
  }

  /// jwt-kit gives parameters in standard base64.
  private static func url(_ text: String) -> String {
    text.replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_")
      .replacingOccurrences(of: "=", with: "")
  }

  private func check(_ token: AccessToken, _ keys: KeySet) throws(ValidationError) -> Double {
    let jwt = try JWT(token)
    let candidates = keys.candidates(kid: jwt.keyID, algorithm: jwt.algorithm)
    return try validator.claims(of: jwt, audience: Self.audience, candidates: candidates, now: Self.now).exp
  }

  @Test(
    "A sound token is accepted, and its exp returned",
    arguments: [
      [:], ["aud": .list(["https://other/", audience])], ["iat": .number(now + 60)], ["nbf": .number(now + 60)],
      ["exp": .number(now + 1)], ["typ": "anything"], ["azp": "someone"],
    ] as [[String: Value]])
  func sound(_ changes: [String: Value]) async throws {
    let claims = Self.good.merging(changes) { $1 }
    let exp = try check(await sign(claims), published())
    #expect(exp == Self.now + (changes["exp"] == nil ? 600 : 1))
  }

  @Test("A token is accepted by a key without alg or use")
  func bareKey() async throws {
    #expect(try check(await sign(Self.good), published(alg: nil, use: nil)) == Self.now + 600)
  }

  @Test(
    "A token whose claims do not fit is refused",
    arguments: [
      (["iss": "https://tenant.example.com"], "issuer"), (["iss": "https://evil.example.com/"], "issuer"),
      (["iss": "HTTPS://tenant.example.com/"], "issuer"), (["aud": "https://api.example.com"], "audience"),
      (["aud": "https://api.example.com/more"], "audience"), (["aud": .list([])], "audience"),
      (["exp": .number(now)], "expired"), (["exp": .number(now - 1)], "expired"),
      (["iat": .number(now + 61)], "future"),
      (["nbf": .number(now + 61)], "not valid yet"), (["cnf": .object(["jkt": "x"])], "cnf"),
      (["exp": "tomorrow"], "claims"), (["aud": .number(1)], "claims"),
    ] as [([String: Value], String)])
  func claims(_ changes: [String: Value], _ reason: String) async throws {
    let token = try await sign(Self.good.merging(changes) { $1 })
    let error = #expect(throws: ValidationError.self) { try check(token, published()) }
    #expect(error?.reason.contains(reason) == true, "\(error?.reason ?? "")")
  }

  @Test("Issuer and audience are compared by bytes, not as texts that mean the same")
  func bytes() async throws {
    let validator = TokenValidator(issuer: "https://caf\u{E9}/")
    let keys = try published().candidates(kid: "a", algorithm: .es256)
    for (issuer, audience, isAccepted) in [
      ("https://caf\u{E9}/", "\u{E9}", true), ("https://cafe\u{301}/", "\u{E9}", false),
      ("https://caf\u{E9}/", "e\u{301}", false),
    ] {
      let token = try await sign(Self.good.merging(["iss": .text(issuer), "aud": .text(audience)]) { $1 })
      let claims = try? validator.claims(of: JWT(token), audience: "\u{E9}", candidates: keys, now: Self.now)
      #expect((claims != nil) == isAccepted)
    }
  }

  @Test("A claim made twice is refused, though the signature is good")
  func claimedTwice() async throws {
    for (more, isAccepted) in [("", true), (#","aud":"https://other/""#, false), (#","\u0061ud":"x""#, false)] {
      let claims = #"{"iss":"\#(Self.issuer)","aud":"\#(Self.audience)","exp":\#(Self.now + 600)\#(more)}"#
      let input = "\(Self.encode(#"{"alg":"ES256","kid":"a"}"#)).\(Self.encode(claims))"
      let signing = try P256.Signing.PrivateKey(pemRepresentation: key.pemRepresentation)
      let signature = try signing.signature(for: Data(input.utf8)).rawRepresentation
      let token = AccessToken("\(input).\(Base64URL.encode(signature))")
      #expect((try? check(token, published())) == (isAccepted ? Self.now + 600 : nil))
    }
  }

  @Test("A token that lacks a required claim is refused", arguments: ["iss", "aud", "exp"])
  func missing(_ name: String) async throws {
    let token = try await sign(Self.good.filter { $0.key != name })
    #expect(throws: ValidationError.self) { try check(token, published()) }
  }

  @Test("A token is refused if its key is not published, is another one, or is not for signing")
  func keys() async throws {
    let token = try await sign(Self.good)
    let other = TokenValidatorTests()
    for set in [try published(kid: "b"), try other.published(), try published(alg: "ES384"), try published(use: "enc")]
    {
      #expect(throws: ValidationError.self) { try check(token, set) }
    }
  }

  @Test("Any flipped bit of the signed part or the signature is noticed")
  func flipped() async throws {
    let token = try await sign(Self.good).value
    let keys = try published()
    let characters = Array(token.utf8)
    for index in stride(from: 0, to: characters.count - 1, by: 7) where characters[index] != UInt8(ascii: ".") {
      var changed = characters
      changed[index] = changed[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
      let broken = AccessToken(String(decoding: changed, as: UTF8.self))
      #expect(throws: ValidationError.self, "at \(index)") { try check(broken, keys) }
    }
  }

  @Test(
    "What is no signed JWT is named for what it is",
    arguments: [
      ("opaque", "1 segments"), ("a.b", "2 segments"), ("a.b.c.d", "4 segments"), ("a..c.d.e", "encrypted"),
      ("..", "header"),
      ("a.b.c", "header"), ("a.b!.c", "characters"), ("\(encode(#"{"alg":"none"}"#)).e30.", "algorithm"),
      ("\(encode(#"{"alg":"HS256"}"#)).e30.AA", "algorithm"),
      ("\(encode(#"{"alg":"none ","typ":"JWT"}"#)).e30.AA", "algorithm"),
      ("\(encode(#"{"alg":"rs256"}"#)).e30.AA", "algorithm"),
      ("\(encode(#"{"alg":"RS256","crit":["b64"]}"#)).e30.AA", "crit"),
      ("\(encode(#"{"alg":"RS256","alg":"none"}"#)).e30.AA", "header"),
      ("\(encode(#"{"typ":"JWT"}"#)).e30.AA", "header"), ("\(encode(#"{"alg":"RSA-OAEP"}"#)).e30.AA", "algorithm"),
    ])
  func headers(_ token: String, _ reason: String) {
    let error = #expect(throws: ValidationError.self) { try JWT(AccessToken(token)) }
    #expect(error?.reason.contains(reason) == true, "\(error?.reason ?? "")")
  }

  private static func encode(_ json: String) -> String { Base64URL.encode(json.utf8) }

  @Test(
    "A signature by Ed25519 passes under both names of the algorithm, and no other's does",
    arguments: ["EdDSA", "Ed25519"])
  func ed25519(_ algorithm: String) async throws {
    let key = Curve25519.Signing.PrivateKey()
    let x = Base64URL.encode(key.publicKey.rawRepresentation)
    let input =
      "\(Self.encode(#"{"alg":"\#(algorithm)","kid":"ed"}"#)).\(Base64URL.encode(try JSONEncoder().encode(Self.good)))"
    let signature = try key.signature(for: Data(input.utf8))
    for (x, signature, isAccepted) in [
      (x, signature, true),
      (Base64URL.encode(Curve25519.Signing.PrivateKey().publicKey.rawRepresentation), signature, false),
      (x, Data(signature.reversed()), false), (x, Data(), false),
    ] {
      let keys = try KeySet(json: Array(#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"\#(x)"}]}"#.utf8))
      let token = AccessToken("\(input).\(Base64URL.encode(signature))")
      #expect(((try? check(token, keys)) != nil) == isAccepted)
    }
  }

  @Test("What the clock decides is told from what it does not")
  func clock() async throws {
    for (changes, dependsOnClock, hasJustEnded) in [
      (["exp": .number(Self.now - 1)], true, true), (["exp": .number(Self.now - 6)], true, false),
      (["exp": .number(Self.now - 1), "iat": .number(Self.now - 1)], true, false),
      (["iat": .number(Self.now + 61)], true, false), (["nbf": .number(Self.now + 61)], true, false),
      (["iss": "other"], false, false),
    ] as [([String: Value], Bool, Bool)] {
      let claims = Self.good.merging(["iat": .number(Self.now - 60)]) { $1 }.merging(changes) { $1 }
      let token = try await sign(claims)
      let error = #expect(throws: ValidationError.self) { try check(token, published()) }
      #expect((error?.flaw == .time) == dependsOnClock && error?.hasJustEnded == hasJustEnded, "\(changes)")
    }
  }

  @Test("The public key's PEM as an HMAC secret buys nothing")
  func confusion() async throws {
    let header = Self.encode(#"{"alg":"HS256","kid":"a"}"#)
    let input = "\(header).\(Base64URL.encode(try JSONEncoder().encode(Self.good)))"
    let pem = try #require(
      P256.Signing.PublicKey(pemRepresentation: key.publicKey.pemRepresentation).pemRepresentation.data(using: .utf8))
    let code = HMAC<SHA256>.authenticationCode(for: Data(input.utf8), using: SymmetricKey(data: pem))
    let token = AccessToken("\(input).\(Base64URL.encode(code))")
    #expect(throws: ValidationError.self) { try check(token, published()) }
  }
}
