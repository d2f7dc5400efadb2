import DevTenant
import Foundation
import IO
import TestSupport
import Testing

/// The tenant itself, asked by the real curl over TLS.
@Suite(.serialized, .timeLimit(.minutes(2))) struct DevTenantTests {
  private let directory = FileManager.default.temporaryDirectory.appendingPathComponent("tenant-\(UUID().uuidString)")

  private func withTenant(
    grantsEverything: Bool = false, _ body: (DevTenant, _ ask: ([String]) async throws -> Reply) async throws -> Void
  ) async throws {
    ThisProcess.ignoreFailingWrites()
    var options = DevTenant.Options(address: try SocketAddress(parsing: "127.0.0.1:0"))
    options.secrets = ["new secret", "old"]
    options.grantsEverything = grantsEverything
    let tenant = try DevTenant(options)
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    let ca = directory.appendingPathComponent("ca.pem")
    try Data((tenant.certificatePEM ?? "").utf8).write(to: ca)
    async let running: Void = tenant.run()
    defer { tenant.stop() }
    try await body(tenant) { arguments in
      let common = [
        "--silent", "--show-error", "--max-time", "20", "--cacert", ca.path, "--write-out", "\n%{http_code}",
      ]
      let result = try await ChildProcess.run("curl", common + arguments)
      let lines = result.output.split(separator: "\n", omittingEmptySubsequences: false)
      return Reply(
        status: lines.last.flatMap { Int($0) } ?? 0, body: lines.dropLast().joined(separator: "\n"), curl: result.status
      )
    }
    tenant.stop()
    try await running
  }

  private struct Reply {
    let status: Int
    let body: String
    let curl: Int32

    var json: [String: Any] { (try? JSONSerialization.jsonObject(with: Data(body.utf8))) as? [String: Any] ?? [:] }
    var error: String { "\(status) \(json["error"] ?? "") \(json["error_description"] ?? "")" }

    /// The claims of the token in the answer.
    var claims: [String: Any] {
      guard let token = json["access_token"] as? String else { return [:] }
      let segment = token.split(separator: ".", omittingEmptySubsequences: false).dropFirst().first ?? ""
      var base64 = String(segment).replacing("-", with: "+").replacing("_", with: "/")
      base64 += String(repeating: "=", count: (4 - base64.count % 4) % 4)
      return (try? JSONSerialization.jsonObject(with: Data(base64Encoded: base64) ?? Data())) as? [String: Any] ?? [:]
    }
  }

  private static let form = [
    "--data-urlencode", "grant_type=client_credentials", "--data-urlencode", "client_id=dev-client", "--data-urlencode",
    "client_secret=new secret", "--data-urlencode", "audience=https://api.example.com/",
  ]

  @Test("A token is given for a form, for JSON and for Basic credentials, with either secret")
  func authentication() async throws {
    try await withTenant { tenant, ask in
      let url = tenant.baseURL + "/oauth/token"
      let json =
        #"{"grant_type":"client_credentials","client_id":"dev-client","client_secret":"old","#
        + #""audience":"https://api.example.com/"}"#
      let ways = [
        Self.form, ["--json", json],
        [
          "--user", "dev-client:new%20secret", "--data",
          "grant_type=client_credentials&audience=https://api.example.com/",
        ],
      ]
      for way in ways {
        let reply = try await ask([url] + way)
        #expect(reply.status == 200, "\(reply.body)")
        #expect(reply.json["token_type"] as? String == "Bearer" && reply.json["expires_in"] as? Int == 86400)
        #expect(reply.claims["iss"] as? String == tenant.baseURL + "/")
        #expect(reply.claims["aud"] as? String == "https://api.example.com/")
        #expect(reply.claims["gty"] as? String == "client-credentials")
      }
      #expect(tenant.statistics.mints == 3)
      #expect(try await ask([tenant.baseURL + "/dev/statistics"]).json["mints"] as? Int == 3)
    }
  }

  @Test("What Auth0 refuses is refused in its words, and is not a mint")
  func refusals() async throws {
    try await withTenant { tenant, ask in
      let url = tenant.baseURL + "/oauth/token"
      func changed(_ name: String, _ value: String) -> [String] {
        [url] + Self.form.map { $0.hasPrefix("\(name)=") ? "\(name)=\(value)" : $0 }
      }
      let cases = [
        (changed("client_secret", "wrong"), "401 access_denied Unauthorized"),
        (changed("client_id", "wrong"), "401 access_denied Unauthorized"),
        (changed("audience", "https://nope/"), "403 access_denied Service not enabled within domain: https://nope/"),
        (
          changed("grant_type", "password"), "403 unauthorized_client Grant type 'password' not allowed for the client."
        ),
        (
          [url] + Self.form + ["--data-urlencode", "scope=read:a x y"],
          "403 access_denied Client has not been granted scopes: x, y"
        ),
      ]
      for (arguments, error) in cases {
        let reply = try await ask(arguments)
        #expect(reply.error == error)
      }
      #expect(tenant.statistics.mints == 0 && tenant.statistics.tokenRequests == cases.count)
    }
  }

  @Test("Scope and organization get into the token, and scopes are all of them unless some are asked for")
  func scopes() async throws {
    try await withTenant { tenant, ask in
      let url = tenant.baseURL + "/oauth/token"
      let all = try await ask([url] + Self.form)
      #expect(all.json["scope"] as? String == "read:a write:a")
      let one = try await ask([url] + Self.form + ["--data", "scope=read:a", "--data", "organization=org_1"])
      #expect(one.claims["scope"] as? String == "read:a" && one.claims["org_id"] as? String == "org_1")
    }
  }

  @Test("A tenant that grants everything knows each audience, with the scopes asked for, and plays faults all the same")
  func everything() async throws {
    try await withTenant(grantsEverything: true) { tenant, ask in
      let url = tenant.baseURL + "/oauth/token"
      func form(_ audience: String) -> [String] {
        [url] + Self.form.map { $0.hasPrefix("audience=") ? "audience=\(audience)" : $0 }
      }
      #expect(try await ask(form("https://orders/")).claims["aud"] as? String == "https://orders/")
      let scopes = try await ask(form("https://api.example.com/") + ["--data-urlencode", "scope=x y"])
      #expect(scopes.json["scope"] as? String == "x y")
      #expect(try await ask(form(Fault.serviceNotFound.audience)).status == 403)
    }
  }

  @Test("Discovery names the endpoints, and a rotated key is published beside the old one unless that is revoked")
  func documents() async throws {
    try await withTenant { tenant, ask in
      let discovery = try await ask([tenant.baseURL + "/.well-known/openid-configuration"])
      #expect(discovery.json["issuer"] as? String == tenant.baseURL + "/")
      let keys = try #require(discovery.json["jwks_uri"] as? String)
      func count() async throws -> Int? { (try await ask([keys]).json["keys"] as? [Any])?.count }
      let before = try await count()
      try tenant.rotateKey(revokingPrevious: false)
      let beside = try await count()
      try tenant.rotateKey(revokingPrevious: true)
      let alone = try await count()
      #expect(before == 1 && beside == 2 && alone == 1)
    }
  }

  @Test("HTTP/2 is spoken to those who know it; a fault in the bytes of HTTP/1.1 sends them there, and counts once")
  func versions() async throws {
    try await withTenant { tenant, ask in
      let request = [tenant.baseURL + "/oauth/token"] + Self.form + ["--write-out", "\n%{http_version}\n%{http_code}"]
      for (fault, option, version) in [
        (Fault.rfc9068, "--http2", "2"), (.rfc9068, "--http1.1", "1.1"), (.chunked, "--http2", "1.1"),
      ] {
        tenant.play([fault], for: "https://api.example.com/")
        let reply = try await ask(request + [option])
        #expect(reply.status == 200 && reply.body.hasSuffix("\n\(version)"), "\(reply.body)")
      }
      #expect(tenant.statistics.tokenRequests == 3 && tenant.statistics.mints == 3)
      #expect(tenant.statistics.connections == 4)
    }
  }

  @Test("Faults on the wire are what their names say")
  func wire() async throws {
    try await withTenant { tenant, ask in
      func play(_ fault: Fault, _ more: String...) async throws -> Reply {
        tenant.play([fault], for: "https://api.example.com/")
        return try await ask([tenant.baseURL + "/oauth/token"] + Self.form + more)
      }
      let gzip = try await play(.gzip, "--compressed")
      #expect(gzip.json["token_type"] as? String == "Bearer", "curl can inflate it")
      for fault in [Fault.chunked, .byteAtATime, .staleKeepAlive] {
        #expect(try await play(fault).json["token_type"] as? String == "Bearer", "\(fault)")
      }
      #expect(try await play(.truncated).curl == 18, "curl: transfer closed with bytes remaining")
      #expect([52, 55, 56].contains(try await play(.reset).curl), "curl: no answer")
      #expect(try await play(.halfClose).curl == 52, "curl: empty reply")
      #expect(try await play(.redirect).status == 302)
      #expect(try await play(.tenMegabytes).body.utf8.count > 10 << 20)
      let healed = try await ask([tenant.baseURL + "/oauth/token"] + Self.form)
      #expect(healed.status == 200, "a script is played once")
    }
  }
}
