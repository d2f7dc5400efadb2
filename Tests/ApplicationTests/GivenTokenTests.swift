import Testing

@testable import Application

@Suite struct GivenTokenTests {
  private static let answer =
    #"{"access_token":"t","token_type":"Bearer","expires_in":60,"refresh_in":7,"scope":"a b"}"#

  private func token() throws -> GivenToken { try #require(GivenToken(Array(Self.answer.utf8), now: 1_700_000_000.9)) }

  @Test(
    "Each program gets the token as it reads one",
    arguments: [
      (TokenOutput.text, "t\n"), (.header, "Authorization: Bearer t\n"),
      (
        .json,
        #"{"access_token":"t","token_type":"Bearer","expires_in":60,"expires_at":1700000060,"refresh_in":7,"#
          + #""scope":"a b"}"# + "\n"
      ),
      (.gitCredential, "username=token\npassword=t\npassword_expiry_utc=1700000060\n"),
    ])
  func outputs(_ output: TokenOutput, _ text: String) throws {
    #expect(try token().text(output) == text)
  }

  @Test(
    "A credential for client-go has the version that is asked for",
    arguments: [
      (nil, "v1"), ("", "v1"),
      (#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1"}"#, "v1beta1"),
      (#"{"apiVersion":"v1"}"#, nil), ("{", nil),
    ] as [(String?, String?)])
  func execCredential(_ info: String?, _ version: String?) throws {
    let token = try token()
    let environment = info.map { ["KUBERNETES_EXEC_INFO": $0] } ?? [:]
    guard let version else {
      #expect(throws: GivenToken.Unprintable.self) { try token.text(.execCredential, environment: environment) }
      return
    }
    let expected =
      #"{"apiVersion":"client.authentication.k8s.io/\#(version)","kind":"ExecCredential","#
      + #""status":{"expirationTimestamp":"2023-11-14T22:14:20Z","token":"t"}}"# + "\n"
    #expect(try token.text(.execCredential, environment: environment) == expected)
  }

  @Test("What git says is read up to an empty line, and a refused password is known by its digest")
  func git() {
    let attributes = GitAttributes(["protocol=https", "username=me", "password=a=b", "", "username=you"])
    #expect(attributes.user == "me")
    #expect(attributes.rejected == "42144f3939c3ffbbf0bf8b1f12affb5c23a4c5bd41e0ff672d54a5754f062058")
    #expect(GitAttributes([]).rejected == nil)
  }

  @Test(
    "Git is given no token for a host that it reaches in clear",
    arguments: [
      (["protocol=https", "host=git.example.com"], true), (["protocol=http", "host=git.example.com"], false),
      (["protocol=http", "host=127.0.0.1:8000"], true), (["protocol=http", "host=localhost"], true),
      (["host=git.example.com"], false), ([], false),
    ])
  func gitInClear(_ lines: [String], _ isPrivate: Bool) { #expect(GitAttributes(lines).isPrivate == isPrivate) }

  @Test(
    "An answer that ends beyond all time is none, nor is one whose token is no word",
    arguments: [
      #"{"access_token":"t","expires_in":9223372036854775807}"#, #"{"access_token":"t","expires_in":-1}"#,
      #"{"access_token":"","expires_in":9}"#,
      #"{"access_token":"t\r\nX: y","expires_in":9}"#, #"{"access_token":"a b","expires_in":9}"#,
    ])
  func noToken(_ answer: String) { #expect(GivenToken(Array(answer.utf8)) == nil) }
}
