import Testing

@testable import OAuth

@Suite struct EndpointsTests {
  @Test(
    "A secret goes over TLS, or not out of this machine",
    arguments: [
      ("https://a.example.com/token", true), ("https://a.example.com", true), ("https://a:8443/t?p=policy", true),
      ("https://[2001:db8::1]/t", true), ("http://127.0.0.1:80/token", true), ("http://localhost/", true),
      ("http://[::1]:8080/t", true), ("http://a.example.com/", false), ("http://127.0.0.1.example.com/", false),
      ("http://127.0.0.1:80@example.com/", false), ("https://user:pass@example.com/", false), ("HTTPS://a/", false),
      ("https://", false), ("https:///token", false), ("https://:443/", false), ("a.example.com", false), ("", false),
      ("ftp://a/", false), ("file:///etc/passwd", false), ("https://a/ b", false), ("https://a/\u{0}", false),
      ("https://a/\r\nX: y", false), ("https://a/#f", false), ("https://a\\@b/", false), ("https://caf\u{E9}/", false),
    ])
  func urls(_ url: String, _ isAcceptable: Bool) {
    #expect(((try? Endpoints(tokenURL: url)) != nil) == isAcceptable)
    #expect(((try? Endpoints(tokenURL: "https://a/", jwksURL: url)) != nil) == isAcceptable)
  }

  @Test(
    "Metadata is looked for where the specifications have it, and then the other way round",
    arguments: [
      (
        "https://a.example.com",
        [
          "https://a.example.com/.well-known/openid-configuration",
          "https://a.example.com/.well-known/oauth-authorization-server",
        ]
      ),
      (
        "https://a.example.com/",
        [
          "https://a.example.com/.well-known/openid-configuration",
          "https://a.example.com/.well-known/oauth-authorization-server",
        ]
      ),
      (
        "https://a.example.com:8443/realms/x/",
        [
          "https://a.example.com:8443/realms/x/.well-known/openid-configuration",
          "https://a.example.com:8443/.well-known/oauth-authorization-server/realms/x",
          "https://a.example.com:8443/realms/x/.well-known/oauth-authorization-server",
          "https://a.example.com:8443/.well-known/openid-configuration/realms/x",
        ]
      ),
    ])
  func locations(_ issuer: String, _ expected: [String]) {
    #expect(ServerMetadata.locations(issuer: issuer) == expected)
  }
}
