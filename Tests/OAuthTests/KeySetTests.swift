import Testing

@testable import OAuth

@Suite struct KeySetTests {
  /// It has 2,048 bits.
  private static let modulus = "w\(String(repeating: "A", count: 339))AQ"
  /// The coordinates of P-256's base point.
  private static let point =
    #""x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY","y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU""#
  private func rsa(_ kid: String, _ more: String = "") -> String {
    #"{"kty":"RSA","kid":"\#(kid)","n":"\#(Self.modulus)","e":"AQAB"\#(more)}"#
  }
  private func set(_ keys: String...) throws -> KeySet {
    try KeySet(json: Array(#"{"keys":[\#(keys.joined(separator: ","))]}"#.utf8))
  }

  @Test("Only keys for verifying are taken, and one that cannot be read spoils none")
  func decoys() throws {
    let keys = try set(
      rsa("enc", #","use":"enc""#), #"{"kty":"oct","kid":"oct","k":"AAAA"}"#, #"{"kty":"XYZ"}"#, "{}",
      rsa("private", #","d":"AQAB""#), #"{"kty":"RSA","kid":"small","n":"AQAB","e":"AQAB"}"#,
      rsa("good", #","use":"sig""#))
    for kid in ["enc", "oct", "private", "small"] {
      #expect(keys.candidates(kid: kid, algorithm: .rs256).isEmpty, "\(kid)")
    }
    #expect(keys.candidates(kid: "good", algorithm: .rs256).count == 1)
    #expect(keys.candidates(kid: nil, algorithm: .rs256).count == 1)
  }

  @Test("The description of a key set names each key and its algorithm")
  func descriptions() throws {
    let keys = try set(
      rsa("any"), rsa("ps", #","alg":"PS256""#), #"{"kty":"EC","crv":"P-256",\#(Self.point)}"#, "{}")
    #expect(keys.descriptions.map { $0.id ?? "-" } == ["any", "ps", "-"])
    #expect(keys.descriptions.map(\.algorithm) == ["RSA", "PS256", "EC P-256"])
  }

  @Test("A key serves its own algorithm, or any of its family where it names none")
  func algorithms() throws {
    let keys = try set(
      rsa("any"), rsa("ps", #","alg":"PS256""#),
      #"{"kty":"EC","kid":"ec","crv":"P-256",\#(Self.point)}"#)
    #expect(keys.candidates(kid: "any", algorithm: .rs256).count == 1)
    #expect(keys.candidates(kid: "any", algorithm: .ps512).count == 1)
    #expect(keys.candidates(kid: "any", algorithm: .es256).isEmpty)
    #expect(keys.candidates(kid: "ps", algorithm: .rs256).isEmpty)
    #expect(keys.candidates(kid: "ec", algorithm: .es256).count == 1)
    #expect(keys.candidates(kid: "ec", algorithm: .es384).isEmpty)
    #expect(keys.candidates(kid: "ec", algorithm: .rs256).isEmpty)
  }

  private static let ed25519 = #""kty":"OKP","crv":"Ed25519","x":"\#(String(repeating: "A", count: 43))""#

  @Test(
    "An Ed25519 key serves EdDSA, by whichever name it or the token has",
    arguments: ["", #","alg":"EdDSA""#, #","alg":"Ed25519""#])
  func ed25519(_ algorithm: String) throws {
    let keys = try set("{\(Self.ed25519),\"kid\":\"ed\"\(algorithm)}")
    #expect(keys.candidates(kid: "ed", algorithm: .eddsa).count == 1)
    #expect(keys.candidates(kid: "ed", algorithm: .es256).isEmpty && keys.unusable.isEmpty)
  }

  @Test("Keys for signing that cannot be used are named, and others are not")
  func unusable() throws {
    let keys = try set(
      rsa("good"), #"{"kty":"OKP","crv":"Ed448","x":"AAAA"}"#, #"{"kty":"OKP","crv":"Ed448","alg":"Ed448","x":"AAAA"}"#,
      #"{"kty":"OKP","crv":"Ed25519","x":"AAAA"}"#, #"{"kty":"OKP","crv":"Ed25519","alg":"Ed25519"}"#,
      #"{"kty":"EC","crv":"secp256k1",\#(Self.point),"alg":"ES256K"}"#,
      #"{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}"#, rsa("oaep", #","alg":"RSA-OAEP""#),
      rsa("enc", #","use":"enc""#), "{\(Self.ed25519),\"d\":\"AAAA\"}", #"{"kty":"oct","k":"AAAA"}"#,
      #"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#)
    #expect(keys.purposes == ["RSA"])
    #expect(keys.unusable == ["ES256K", "Ed25519", "Ed25519", "Ed448", "Ed448", "P-256", "RSA", "RSA-OAEP"])
  }

  @Test(
    "A key is usable however its numbers are written: in base64url, in the standard alphabet, or padded",
    arguments: [("-", "_", ""), ("+", "/", ""), ("+", "/", "=="), ("-", "_", "==")])
  func alphabets(_ sixtyTwo: String, _ sixtyThree: String, _ padding: String) throws {
    let modulus = "w\(sixtyTwo)\(sixtyThree)\(String(repeating: "A", count: 337))AQ\(padding)"
    let keys = try set(#"{"kty":"RSA","kid":"a","n":"\#(modulus)","e":"AQAB"}"#)
    #expect(keys.candidates(kid: "a", algorithm: .rs256).count == 1)
  }

  @Test("Keys that share a kid are all candidates")
  func duplicateIDs() throws {
    #expect(try set(rsa("a"), rsa("a"), rsa("b")).candidates(kid: "a", algorithm: .rs256).count == 2)
  }

  @Test("What is no key set is refused", arguments: ["", "[]", "{}", #"{"keys":1}"#, "<html>"])
  func unreadable(_ json: String) {
    #expect(throws: (any Error).self) { try KeySet(json: Array(json.utf8)) }
  }
}
