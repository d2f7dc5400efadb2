import Testing
import TestSupport

@testable import OAuth

@Suite struct DialectTests {
  private let odd = Grant(audience: "https://a/?b=c d", scope: "read:a write:a", organization: "org_1")
  private let bare = Grant(audience: "https://a/")

  private func body(_ dialect: Dialect, _ grant: Grant) -> String {
    FormEncoding.body(dialect.parameters(grant)).text
  }

  @Test("By default the body is the parameters that the grant has, percent-encoded")
  func standard() {
    #expect(body(.standard, bare) == "grant_type=client_credentials&audience=https%3A%2F%2Fa%2F")
    #expect(
      body(.standard, odd) == "grant_type=client_credentials&audience=https%3A%2F%2Fa%2F%3Fb%3Dc%20d"
        + "&scope=read%3Aa%20write%3Aa&organization=org_1")
  }

  @Test(
    "The audience is named by the parameter that the server knows it by",
    arguments: [
      (Dialect.AudienceParameter.audience, "&audience=https%3A%2F%2Fa%2F"), (.resource, "&resource=https%3A%2F%2Fa%2F"),
      (.none, ""),
    ])
  func audience(_ parameter: Dialect.AudienceParameter, _ expected: String) throws {
    let dialect = try Dialect(audienceParameter: parameter)
    #expect(body(dialect, bare) == "grant_type=client_credentials\(expected)")
  }

  @Test(
    "A grant without a scope has that of the template",
    arguments: [
      (nil, nil, nil), ("{audience}/.default", nil, "https%3A%2F%2Fa%2F%2F.default"), ("fixed", nil, "fixed"),
      ("{audience}/a {audience}/b", nil, "https%3A%2F%2Fa%2F%2Fa%20https%3A%2F%2Fa%2F%2Fb"),
      ("{audience}/.default", "own", "own"), (nil, "own", "own"), ("{other}", nil, "%7Bother%7D"),
    ] as [(String?, String?, String?)])
  func scope(_ template: String?, _ own: String?, _ expected: String?) throws {
    let dialect = try Dialect(audienceParameter: .none, scopeTemplate: template)
    let text = body(dialect, Grant(audience: "https://a/", scope: own))
    #expect(text == "grant_type=client_credentials" + (expected.map { "&scope=\($0)" } ?? ""))
  }

  @Test("Extra parameters follow in their order, encoded too")
  func extra() throws {
    let dialect = try Dialect(extraParameters: [("z", "1&2"), ("a=", "é"), ("resource", "r"), ("a", "")])
    #expect(
      body(dialect, bare)
        == "grant_type=client_credentials&audience=https%3A%2F%2Fa%2F&z=1%262&a%3D=%C3%A9&resource=r")
  }

  @Test(
    "An extra parameter that the client sets itself is refused",
    arguments: [
      "grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type", "scope", "organization",
      "audience", "",
    ])
  func reserved(_ name: String) {
    let error = #expect(throws: InvalidSetting.self) { try Dialect(extraParameters: [("x", "1"), (name, "y")]) }
    #expect(error?.setting == "extraParameters")
  }

  @Test("The parameter that names the API is taken only while it does", arguments: Dialect.AudienceParameter.allCases)
  func reservedAudience(_ parameter: Dialect.AudienceParameter) {
    for other in ["audience", "resource"] {
      let dialect = try? Dialect(audienceParameter: parameter, extraParameters: [(other, "x")])
      #expect((dialect == nil) == (other == parameter.rawValue))
    }
  }
}
