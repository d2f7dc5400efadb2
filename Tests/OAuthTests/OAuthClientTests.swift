import Basics
import Testing

@testable import OAuth

@Suite struct OAuthClientTests {
  private static func client(
    _ id: String = "c", secret: String = "s", issuer: String? = "https://a/", keys: String? = "https://a/keys",
    dialect: Dialect = .standard, checksAudience: Bool = true
  ) throws -> OAuthClient {
    try OAuthClient(
      name: secret, clientID: id, authentication: .secretPost(ClientSecrets([Secret(secret.utf8)])),
      location: .fixed(Endpoints(tokenURL: "https://a/token", jwksURL: keys, issuer: issuer)), dialect: dialect,
      checksAudience: checksAudience)
  }

  @Test("Clients that get the same tokens have the same identity, whatever their name and secret")
  func identity() throws {
    let usual = try Self.client()
    #expect(try usual.identity == Self.client(secret: "other").identity)
    let others = try [
      Self.client("d"), Self.client(issuer: "https://b/"), Self.client(issuer: nil), Self.client(keys: nil),
      Self.client(issuer: nil, keys: nil), Self.client(dialect: Dialect(audienceParameter: .resource)),
      Self.client(dialect: Dialect(scopeTemplate: "x")), Self.client(dialect: Dialect(scopeTemplate: "")),
      Self.client(dialect: Dialect(extraParameters: [("a", "b")])), Self.client(checksAudience: false),
      OAuthClient(
        name: "s", clientID: "c", authentication: usual.authentication, location: .discovered(issuer: "https://a/")),
    ]
    #expect(Set((others + [usual]).map(\.identity)).count == others.count + 1)
  }
}
