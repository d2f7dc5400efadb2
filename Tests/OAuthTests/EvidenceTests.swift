import Basics
import HTTPClient
import Testing

@testable import OAuth

@Suite struct EvidenceTests {
  private static let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"

  @Test("A secret is taken out in whatever case a form writes it, and of Basic without its padding")
  func spellings() {
    let secret = Secret("a/b+c=".utf8)
    let basic = "YzphL2IrYz0"
    let redaction = Redaction(.basic(secret, .raw), of: "c")
    let text = "a%2fb%2bc%3d, a%2Fb%2Bc%3D, \(basic), \(basic)="
    let evidence = Evidence(error: nil, description: text, hiding: redaction)
    #expect(evidence?[.description] == "[redacted], [redacted], [redacted], [redacted]")
  }

  @Test("A refusal leaves its error and its description, in printable characters and at most 300 of them")
  func refusal() throws {
    let text = String(repeating: "x", count: 400)
    let body = #"{"error":"invalid_client","error_description":"AADSTS7000222: a\u0007b\u00e9 \#(text)"}"#
    let error = Refusal(HTTPClient.Response(401, body)).tokenError(now: 0)
    let description = try #require(error.evidence?[.description])
    #expect(error.evidence?[.error] == "invalid_client" && description.hasPrefix("AADSTS7000222: a?b? xxx"))
    #expect(description.count == 300)
    #expect(error.evidence?.fields.map(\.name) == ["upstream_error", "upstream_error_description"])
    #expect(!error.message.contains("AADSTS"))
  }

  @Test(
    "An answer that says nothing leaves no evidence",
    arguments: ["", "<html>", "{}", #"{"error":""}"#, #"{"error":{"a":1}}"#, "[]"])
  func nothing(_ body: String) {
    #expect(Refusal(HTTPClient.Response(403, body)).tokenError(now: 0).evidence == nil)
  }

  /// A secret with characters that a form and Basic write in another way.
  private static let secret = "pl=us+s3cr3t/ü"

  @Test(
    "The secret of the request is taken out in every form in which it was sent",
    arguments: [
      secret, "pl%3Dus%2Bs3cr3t%2F%C3%BC", "Zm9vJTNBYmFyOnBsJTNEdXMlMkJzM2NyM3QlMkYlQzMlQkM=",
      "Zm9vOmJhcjpwbD11cytzM2NyM3Qvw7w=",
    ])
  func secrets(_ form: String) {
    let secret = Secret(Self.secret.utf8)
    for credential in [Credential.post(secret), .basic(secret, .form)] {
      let redaction = Redaction(credential, of: "foo:bar")
      let evidence = Evidence(error: "x \(form)", description: "got '\(form)' and \(form)", hiding: redaction)
      #expect(evidence?[.error] == "x [redacted]")
      #expect(evidence?[.description] == "got '[redacted]' and [redacted]")
    }
  }

  @Test("Of credentials that were brought along, whatever the tenant may read as the secret is taken out")
  func brought() throws {
    let brought = PassThroughCredentials(
      asGiven: .init(clientID: "c", secret: Secret("p%40ss%2Fword1".utf8)),
      decoded: .init(clientID: "c", secret: Secret("p@ss/word1".utf8)),
      authorization: Secret("Basic YzpwJTQwc3MlMkZ3b3JkMQ==".utf8), parameters: [])
    let redaction = Redaction(brought.credential, of: "c")
    for form in ["p@ss/word1", "p%40ss%2Fword1", "p%2540ss%252Fword1", "YzpwJTQwc3MlMkZ3b3JkMQ=="] {
      let evidence = Evidence(error: nil, description: "bad secret \(form)", hiding: redaction)
      #expect(evidence?[.description] == "bad secret [redacted]", "\(form)")
    }
  }

  @Test("A secret that the limit would cut is taken out before")
  func cut() {
    let redaction = Redaction(.post(Secret("t0p-s3cr3t".utf8)), of: "c")
    let text = String(repeating: "x", count: 295) + "t0p-s3cr3t"
    let evidence = Evidence(error: nil, description: text, hiding: redaction)
    #expect(evidence?[.description] == String(repeating: "x", count: 295) + "[reda")
  }

  @Test(
    "What looks like a JWT is taken out",
    arguments: [
      (jwt, "[redacted]"), ("'\(jwt)' is a replay", "'[redacted]' is a replay"),
      ("assertion=\(jwt)&x", "assertion=[redacted]&x"), ("eyJhbGciOiJSUzI1NiJ9", "[redacted]"),
      ("\(jwt.dropLast(20))…", "[redacted]?"), ("ewogImFsZyI6MX0.e30.x", "[redacted]"), ("eyJ", "eyJ"),
      ("AADSTS700016: Application 'a.b.c' of login.microsoftonline.com", nil),
      ("Trace ID: 0f8fad5b-d9cb-469f-a165-70867728950e", nil), ("version 1.2.3 of example.eu.auth0.com", nil),
    ] as [(String, String?)])
  func tokens(_ text: String, _ expected: String?) {
    #expect(Evidence(error: nil, description: text)?[.description] == expected ?? text)
  }

  private static func token(_ header: String, _ claims: String) -> AccessToken {
    AccessToken("\(Base64URL.encode(header.utf8)).\(Base64URL.encode(claims.utf8)).c2ln")
  }

  @Test(
    "A token leaves its iss, aud, alg and kid, as far as they can be read",
    arguments: [
      (
        #"{"alg":"HS256","kid":"k1"}"#, #"{"iss":"https://a/","aud":"x","sub":"secret"}"#,
        ["token_issuer https://a/", "token_audience x", "token_algorithm HS256", "token_key_id k1"]
      ),
      (#"{"alg":1,"kid":"k"}"#, #"{"iss":[],"aud":["x","y"]}"#, ["token_audience x, y", "token_key_id k"]),
      (#"{"alg":"none"}"#, "x", ["token_algorithm none"]), ("x", #"{"aud":5,"iss":"a\nb"}"#, ["token_issuer a?b"]),
    ])
  func claims(_ header: String, _ claims: String, _ expected: [String]) {
    #expect(Evidence(of: Self.token(header, claims))?.fields.map { "\($0.name) \($0.value)" } == expected)
  }

  @Test("An opaque token leaves nothing", arguments: ["opaque", "a.b", ""])
  func opaque(_ token: String) { #expect(Evidence(of: AccessToken(token)) == nil) }

  @Test("A token that is refused says what is wrong with it and what it is")
  func flaw() {
    let token = Self.token(#"{"alg":"HS256"}"#, "{}")
    let error = #expect(throws: ValidationError.self) { try JWT(token) }
    let told = error.map { TokenError($0, of: token) }
    #expect(told?.flaw == .algorithm && told?.evidence?[.algorithm] == "HS256")
  }
}
