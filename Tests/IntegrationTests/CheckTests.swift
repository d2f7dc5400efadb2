import DevTenant
import Foundation
import IO
import TestSupport
import Testing

extension IntegrationTests {
  /// `token-broker check` against a tenant that is well, and against everything that can be wrong on the way to one.
  @Suite struct CheckTests {
    /// What it has found, as JSON and as text.
    private struct Result {
      let status: Int32
      let checks: [[String: Any]]
      let verdict: String?
      /// Both, for what must not be in them.
      let said: String

      /// Runs it twice, and expects that both say the same.
      init(_ environment: [String: String], _ arguments: [String] = ["--audience", API.audience]) async throws {
        let text = try await ChildProcess.run(
          BrokerProcess.executable, ["check"] + arguments, environment: environment)
        let json = try await ChildProcess.run(
          BrokerProcess.executable, ["check", "--json"] + arguments, environment: environment)
        status = json.status
        let object = try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
        checks = object?["checks"] as? [[String: Any]] ?? []
        verdict = object?["status"] as? String
        said = text.output + text.errors + json.output + json.errors
        #expect(text.status == status)
        // A wrong configuration is said on standard error, in the same words as by every command.
        if status == 78 { return }
        let verdicts = ["ok", "warning", "failed", "skipped"]
        let lines = text.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
          .filter { $0.count > 1 && verdicts.contains($0[0]) }
        #expect(lines.map { "\($0[0]) \($0[1])" } == checks.map { "\($0["status"] ?? "") \($0["check"] ?? "")" })
        for remedy in checks.compactMap({ $0["remedy"] as? String }) {
          #expect(text.output.contains("\n                       \(remedy)\n"), "each on a line below")
        }
      }

      func names(_ status: String) -> [String] {
        checks.filter { $0["status"] as? String == status }.compactMap { $0["check"] as? String }
      }

      func first(_ check: String) -> [String: Any] { checks.first { $0["check"] as? String == check } ?? [:] }
    }

    @Test("check: with all well every step is ok, says what it has found, and exits 0")
    func well() async throws {
      try await withTenant { tenant in
        let result = try await Result(tenant.environment)
        #expect(result.status == 0 && result.verdict == "ok", "\(result.said)")
        #expect(
          result.names("ok") == [
            "configuration", "libraries", "store", "tcp", "tls", "discovery", "jwks", "clock", "token",
          ])
        #expect(result.names("skipped") == ["dns"], "an address needs no looking up")
        #expect(result.first("tcp")["address"] as? String == "127.0.0.1")
        let tls = result.first("tls")
        #expect((tls["tls_version"] as? String)?.hasPrefix("TLSv1.") == true)
        #expect(tls["certificate_days_left"] as? Int == 29)
        #expect((tls["certificate_issuer"] as? String)?.contains("development tenant") == true)
        #expect((tls["certificate_names"] as? String)?.contains("localhost") == true)
        #expect(result.first("discovery")["token_url"] as? String == tenant.tenant.baseURL + "/oauth/token")
        #expect(result.first("jwks")["keys"] as? Int == 1)
        #expect(result.first("jwks")["algorithms"] as? [String] == ["RS256"])
        #expect(result.first("clock")["tenant_ahead_seconds"] as? Int == 0)
        let token = result.first("token")
        #expect(
          (86390...86400).contains(token["expires_in"] as? Int ?? 0) && token["scope"] as? String == "read:a write:a")
        #expect(token["client"] as? String == "default" && token["target"] as? String == API.audience)
        #expect(tenant.tenant.statistics.mints == 2, "a token for each run, and no more")
        #expect(!result.said.contains(tenant.secret) && !result.said.contains("eyJ"))
      }
    }

    @Test(
      "check: an assertion's file is looked at before a token is asked for",
      arguments: [("e30", 1), ("eyJleHAiOjQwMDAwMDAwMDB9", 0)])
    func assertion(_ payload: String, _ status: Int32) async throws {
      try await withTenant { tenant in
        let path = try tenant.file("assertion", status == 0 ? "eyJhbGciOiJub25lIn0.\(payload).c2ln" : "\(payload).x")
        try await withPeer { connection in
          while connection.request() != nil {
            connection.answer("200 OK", body: #"{"access_token":"t","token_type":"Bearer","expires_in":3600}"#)
          }
        } _: { peer in
          let configuration = """
            clients: {one: {provider: oauth2, tokenURL: '\(peer.url)/', clientId: id, clientAssertionFile: \(path)}}
            audiences: [{audience: a, client: one, verify: opaque}]

            """
          let result = try await Result(["BROKER_CONFIG": try tenant.file("c.yaml", configuration)], [])
          #expect(result.status == status, "\(result.said)")
          let finding = result.first("assertion")
          #expect(finding["status"] as? String == (status == 0 ? "ok" : "failed"))
          #expect(finding["expires_at"] as? Int == (status == 0 ? 4_000_000_000 : nil))
          #expect(result.names(status == 0 ? "ok" : "skipped").contains("token"))
        }
      }
    }

    /// Something that is wrong, and what is to be said of it.
    struct Trouble: Sendable, CustomTestStringConvertible {
      let testDescription: String
      /// The step that fails.
      let step: String
      /// What stands in its remedy.
      let remedy: String
      /// The steps that are skipped for it, beside `dns`, which has nothing to do for an address.
      let skipped: [String]
      var options: @Sendable (inout DevTenant.Options) -> Void = { _ in }
      var environment: @Sendable (DevTenant) -> [String: String] = { _ in [:] }
      var arrange: @Sendable (DevTenant) -> Void = { _ in }
      var audience = API.audience
    }

    private static let afterConnect = ["tls", "discovery", "jwks", "clock", "token"]
    private static let afterTLS = ["discovery", "jwks", "clock", "token"]

    private static let troubles = [
      Trouble(
        testDescription: "a name that does not exist", step: "dns", remedy: "letter by letter",
        skipped: ["tcp"] + afterConnect, environment: { _ in ["AUTH0_DOMAIN": "tenant.does-not-exist.test"] }),
      Trouble(
        testDescription: "a port where nobody listens", step: "tcp", remedy: "firewall", skipped: afterConnect,
        environment: { _ in ["AUTH0_DOMAIN": "127.0.0.1:1"] }),
      Trouble(
        testDescription: "plain HTTP where TLS should be", step: "tls", remedy: "speaks no TLS", skipped: afterTLS,
        options: { $0.tls = false },
        environment: { ["AUTH0_DOMAIN": $0.baseURL.replacing("http://", with: "https://")] }),
      Trouble(
        testDescription: "an expired certificate", step: "tls", remedy: "certificate replaced", skipped: afterTLS,
        options: { $0.certificate = .expired }),
      Trouble(
        testDescription: "a certificate for another host", step: "tls", remedy: "a host that the certificate is for",
        skipped: afterTLS, options: { $0.certificate = .wrongHost }),
      Trouble(
        testDescription: "an authority that nobody knows", step: "tls", remedy: "AUTH0_CA_FILE", skipped: afterTLS,
        environment: { _ in ["AUTH0_CA_FILE": ""] }),
      Trouble(
        testDescription: "a key set that cannot be read", step: "jwks", remedy: "JSON key set", skipped: ["token"],
        arrange: { $0.setKeySet(.failing) }),
      Trouble(
        testDescription: "a key set without keys", step: "jwks", remedy: "publish the key", skipped: ["token"],
        arrange: { $0.setKeySet(.empty) }),
      Trouble(
        testDescription: "a clock ten minutes behind the tenant's", step: "clock", remedy: "NTP", skipped: ["token"],
        arrange: { $0.setClock(ahead: 600) }),
      Trouble(
        testDescription: "a secret that is refused", step: "token", remedy: "Compare the client id, the secret",
        skipped: [], arrange: { $0.accept(secrets: ["another"]) }),
      Trouble(
        testDescription: "an audience that the tenant does not know", step: "token", remedy: "byte by byte",
        skipped: [],
        audience: "https://nobody.example.com/"),
      Trouble(
        testDescription: "an audience without a grant", step: "token", remedy: "authorize the application", skipped: [],
        audience: Fault.notAuthorized.audience),
      Trouble(
        testDescription: "a token that does not verify", step: "token", remedy: "signs with RS256", skipped: [],
        audience: Fault.algNone.audience),
    ]

    @Test("check: a fault fails its own step with a remedy, skips what depends on it, and exits 1", arguments: troubles)
    func trouble(_ trouble: Trouble) async throws {
      try await withTenant(trouble.options) { tenant in
        trouble.arrange(tenant.tenant)
        let result = try await Result(
          tenant.environment.merging(trouble.environment(tenant.tenant)) { $1 }, ["--audience", trouble.audience])
        #expect(result.status == 1 && result.verdict == "failed")
        #expect(result.names("failed") == [trouble.step], "\(result.said)")
        #expect((result.first(trouble.step)["remedy"] as? String)?.contains(trouble.remedy) == true, "\(result.said)")
        #expect(result.names("skipped").filter { $0 != "dns" } == trouble.skipped, "\(result.said)")
        #expect(result.names("warning").isEmpty)
        #expect(!result.said.contains(tenant.secret) && !result.said.contains("eyJ"))
      }
    }

    /// Something worth a word that keeps nothing from working.
    struct Warning: Sendable, CustomTestStringConvertible {
      let testDescription: String
      let step: String
      var options: @Sendable (inout DevTenant.Options) -> Void = { _ in }
      var environment: [String: String] = [:]
      var arrange: @Sendable (DevTenant) -> Void = { _ in }
      /// What must be said of it.
      let isFound: @Sendable (_ finding: [String: Any]) -> Bool
    }

    private static let warnings = [
      Warning(
        testDescription: "a clock ten minutes ahead of the tenant's", step: "clock",
        arrange: { $0.setClock(ahead: -600) },
        isFound: { ($0["tenant_ahead_seconds"] as? Int).map((-601 ... -599).contains) == true }),
      Warning(
        testDescription: "a certificate that is near its end", step: "tls", options: { $0.certificate = .aging },
        isFound: { $0["certificate_days_left"] as? Int == 4 }),
      Warning(
        testDescription: "an open door", step: "use", environment: ["BROKER_LISTEN": "0.0.0.0:8080"],
        isFound: { $0["target"] as? String == "0.0.0.0:8080" }),
    ]

    @Test("check: warnings exit 0", arguments: warnings)
    func warning(_ warning: Warning) async throws {
      try await withTenant(warning.options) { tenant in
        warning.arrange(tenant.tenant)
        let result = try await Result(tenant.environment.merging(warning.environment) { $1 })
        #expect(result.status == 0 && result.verdict == "warning", "\(result.said)")
        #expect(result.names("warning") == [warning.step])
        #expect(warning.isFound(result.first(warning.step)), "\(result.said)")
      }
    }

    @Test("What is left of a token's life is counted by the broker's own clock")
    func lifeByOwnClock() async throws {
      try await withTenant { tenant in
        tenant.tenant.setClock(ahead: -600)
        let left = try await Result(tenant.environment).first("token")["expires_in"] as? Int
        #expect((85700...85800).contains(left ?? 0), "ten minutes less")
      }
    }

    @Test("check: a client that cannot be reached does not keep the others from being checked")
    func clients() async throws {
      try await withTenant { tenant in
        let file = try tenant.file(
          "clients.yaml",
          """
          clients:
            gone: {domain: 'https://127.0.0.1:1', clientId: a, clientSecret: b}
            good: {domain: '\(tenant.tenant.baseURL)', clientId: dev-client, clientSecret: \(tenant.secret), \
          caFile: \(tenant.environment["AUTH0_CA_FILE"] ?? "")}
          audiences:
            - {audience: '\(API.audience)', client: good}
            - {audience: 'https://gone.example.com/', client: gone}
            - {audience: '\(Fault.opaque.audience)', client: good, verify: opaque}

          """)
        let arguments = [API.audience, "https://gone.example.com/", Fault.opaque.audience, "https://unlisted/"].flatMap
        {
          ["--audience", $0]
        }
        let result = try await Result([:], ["--config", file] + arguments)
        let found = result.checks.map {
          "\($0["client"] ?? "-") \($0["check"] ?? "") \($0["status"] ?? "") \($0["error"] ?? "")"
        }
        #expect(found.contains("gone tcp failed ") && found.contains("gone token skipped "), "\(found)")
        #expect(found.count { $0 == "good token ok " } == 2 && found.contains("- token failed unknown_audience"))
        #expect(result.status == 1)
      }
    }

    @Test("check: without readable keys a token that need not be verified is tried all the same")
    func opaque() async throws {
      try await withTenant { tenant in
        tenant.tenant.setKeySet(.failing)
        let file = try tenant.file(
          "opaque.yaml", "audiences: ['\(API.audience)', {audience: '\(Fault.opaque.audience)', verify: opaque}]\n")
        let result = try await Result(tenant.environment, ["--config", file])
        let tokens = result.checks.filter { $0["check"] as? String == "token" }.map { $0["status"] as? String }
        #expect(tokens == ["skipped", "ok"] && result.names("failed") == ["jwks"], "\(result.said)")
      }
    }

    @Test("check says the verdict first, with --no-mint asks for no token, and with --verbose shows the settings")
    func verdictFirst() async throws {
      try await withTenant { tenant in
        func check(_ arguments: String...) async throws -> String {
          let result = try await ChildProcess.run(
            BrokerProcess.executable, ["check", "--audience", API.audience] + arguments, environment: tenant.environment
          )
          #expect(result.status == 0, "\(result)")
          return result.output
        }
        let text = try await check("--no-mint")
        #expect(text.hasPrefix("check: ok (8 ok, 2 skipped)\n\nok      configuration"), "\(text)")
        #expect(text.contains("skipped token          \(API.audience): not asked for: --no-mint"))
        #expect(!text.contains("cache.maxEntries ="))
        #expect(tenant.tenant.statistics.tokenRequests == 0)
        #expect(try await check("--no-mint", "--verbose").contains("\ncache.maxEntries = 100000  (default)\n"))
      }
    }

    @Test("Settings are shown as they are written, digests of keys too")
    func verbose() async throws {
      try await withTenant { tenant in
        let digest = String(repeating: "ab", count: 32)
        let file = try tenant.file(
          "c.yaml",
          """
          audiences: [urn:a, {audience: urn:b}]
          callers: {a: {bearerSHA256: \(digest), clientCertificate: ['spiffe://a/b', 'dns:C.d'], audiences: '*'}}
          """)
        let text = try await ChildProcess.run(
          BrokerProcess.executable, ["check", "--config", file, "--no-mint", "--verbose"],
          environment: tenant.environment
        ).output
        for line in [
          "audiences[0] = urn:a  (\(file):1:13)", "audiences[1].audience = urn:b  (",
          "callers.a.bearerSHA256 = \(digest)  (", "callers.a.clientCertificate = spiffe://a/b  (",
          "callers.a.clientCertificate = dns:c.d  (",
        ] { #expect(text.contains("\n\(line)"), "\(line)") }
      }
    }

    @Test("check --json: a wrong configuration exits 78 and names its keys")
    func configuration() async throws {
      let result = try await Result(["AUTH0_DOMAIN": "https://a/b", "AUTH0_CLIENT_SECRET": "t0p-s3cr3t"])
      #expect(result.status == 78 && result.verdict == "failed")
      #expect(result.checks.compactMap { $0["target"] as? String } == ["AUTH0_DOMAIN", "AUTH0_CLIENT_ID"])
      #expect(!result.said.contains("t0p-s3cr3t"))
    }

    // MARK: Other servers than Auth0

    /// Checks a client of a server that answers each path as `play` says, with the date of 1 January 2000.
    private func result(
      _ location: String, of server: @escaping @Sendable (_ path: Substring, _ origin: String) -> (String, String)
    ) async throws -> Result {
      var result: Result?
      try await withPeer { connection in
        while let request = connection.request() {
          let host = request.split(separator: "\r\n").first { $0.hasPrefix("Host: ") }?.dropFirst(6) ?? ""
          let (status, body) = server(request.split(separator: " ")[1], "http://\(host)")
          connection.answer(status, "Date: Sat, 01 Jan 2000 00:00:00 GMT\r\n", body: body)
        }
      } _: { peer in
        try await withTenant { tenant in
          let file = try tenant.file(
            "other.yaml",
            """
            clients: {a: {provider: oauth2, \(location.replacing("ORIGIN", with: peer.url)), clientId: c, \
            clientSecret: s3cr3t}}
            audiences: [{audience: 'https://a/', verify: opaque}]

            """)
          result = try await Result([:], ["--config", file])
        }
      }
      return try #require(result)
    }

    private static let token = ("200 OK", #"{"access_token":"opaque","token_type":"Bearer","expires_in":3600}"#)

    @Test("check: with only a token URL the clock is read off what is there")
    func tokenURLOnly() async throws {
      let result = try await result("tokenURL: 'ORIGIN/token'") { _, _ in Self.token }
      #expect(result.status == 0 && result.names("warning") == ["clock"], "\(result.said)")
      #expect((result.first("clock")["tenant_ahead_seconds"] as? Int).map { $0 < -800_000_000 } == true)
      #expect(result.first("token")["status"] as? String == "ok")
    }

    @Test("check: a way to authenticate that the metadata does not offer is a warning")
    func authMethods() async throws {
      let result = try await result("issuer: 'ORIGIN'") { path, origin in
        if path == "/token" { return Self.token }
        let methods = #""token_endpoint_auth_methods_supported":["client_secret_basic"]"#
        return ("200 OK", #"{"issuer":"\#(origin)","token_endpoint":"\#(origin)/token",\#(methods)}"#)
      }
      let warning = result.checks.first { $0["auth_methods"] != nil }
      #expect(warning?["status"] as? String == "warning" && result.status == 0, "\(result.said)")
      #expect(warning?["auth_methods"] as? [String] == ["client_secret_basic"])
      #expect((warning?["message"] as? String)?.contains("authenticates by client_secret_post") == true)
    }

    @Test("check: a server that is away for now is not told to be another", arguments: ["429 x", "503 x"])
    func away(_ status: String) async throws {
      let result = try await result("issuer: 'ORIGIN'") { _, _ in (status, "") }
      #expect(result.names("failed") == ["discovery"], "\(result.said)")
      #expect((result.first("discovery")["remedy"] as? String)?.contains("asked again and again") == true)
      #expect(result.names("warning") == ["clock"], "its answer had a date")
    }

    // MARK: By way of a proxy

    /// A proxy that connects to this machine whatever host it is asked for, or says 403; its port is what it prints.
    private static func proxy(refusing: Bool = false) async throws -> (child: ChildProcess, port: UInt16) {
      let script = """
        import asyncio, sys
        async def copy(source, sink):
          try:
            while data := await source.read(65536): sink.write(data)
          finally: sink.close()
        async def serve(reader, writer):
          line = (await reader.readline()).decode().split()
          while (await reader.readline()).strip(): pass
          if sys.argv[1] == 'refusing' or line[0] != 'CONNECT':
            writer.write(b'HTTP/1.1 403 Forbidden\\r\\nContent-Length: 0\\r\\n\\r\\n')
            return writer.close()
          other, upstream = await asyncio.open_connection('127.0.0.1', int(line[1].rsplit(':')[-1]))
          writer.write(b'HTTP/1.1 200 Connected\\r\\n\\r\\n')
          await asyncio.gather(copy(reader, upstream), copy(other, writer), return_exceptions=True)
        async def main():
          server = await asyncio.start_server(serve, '127.0.0.1', 0)
          print(server.sockets[0].getsockname()[1], flush=True)
          await server.serve_forever()
        asyncio.run(main())
        """
      let child = try ChildProcess("/usr/bin/python3", ["-c", script, refusing ? "refusing" : "obliging"])
      let port = try await child.wait(for: "port") { UInt16($0.output.trimmingCharacters(in: .newlines)) }
      return (child, port)
    }

    @Test("check: through a proxy, name and port of the tenant are skipped and all else is checked")
    func proxied() async throws {
      let (proxy, port) = try await Self.proxy()
      try await withTenant({ $0.certificate = .wrongHost }) { tenant in
        // The certificate's host, which only the proxy finds.
        let base = "https://other.example.com:\(tenant.tenant.address.port)"
        let file = try tenant.file(
          "proxied.yaml",
          """
          clients:
            away:
              provider: oauth2
              tokenURL: \(base)/oauth/token
              jwksURL: \(base)/.well-known/jwks.json
              issuer: \(tenant.tenant.baseURL)/
              clientId: dev-client
              clientSecret: \(tenant.secret)
              caFile: \(tenant.environment["AUTH0_CA_FILE"] ?? "")

          """)
        let arguments = ["--config", file, "--audience", API.audience]
        for environment in [
          ["HTTPS_PROXY": "http://user:pa55w0rd@127.0.0.1:\(port)"], ["https_proxy": "127.0.0.1:\(port)"],
        ] {
          let result = try await Result(environment, arguments)
          #expect(result.status == 0, "\(result.said)")
          #expect(
            result.names("ok") == ["configuration", "libraries", "store", "proxy", "tls", "jwks", "clock", "token"])
          #expect(result.names("skipped") == ["dns", "tcp"])
          #expect(result.first("proxy")["target"] as? String == "127.0.0.1:\(port)")
          #expect(!result.said.contains("pa55w0rd"))
        }
      }
      proxy.signal(SIGTERM)
      try await proxy.end()
    }

    private static func behind(_ proxy: String, domain: String = "tenant.example.com") -> [String: String] {
      [
        "AUTH0_DOMAIN": domain, "AUTH0_CLIENT_ID": "a", "AUTH0_CLIENT_SECRET": "b", "HTTPS_PROXY": "http://\(proxy)",
        "NO_PROXY": "other.test, .does-not-exist.test",
      ]
    }

    private func expectProxyFailed(_ address: String) async throws {
      let result = try await Result(Self.behind(address))
      #expect(result.status == 1 && result.names("failed") == ["proxy"], "\(result.said)")
      #expect(result.first("proxy")["target"] as? String == address)
      #expect(result.names("skipped") == ["dns", "tcp"] + Self.afterConnect)
    }

    @Test("check: a proxy that is not there is what has failed", arguments: ["127.0.0.1:1", "proxy.invalid:3128"])
    func absentProxy(_ address: String) async throws { try await expectProxyFailed(address) }

    @Test("check: a proxy that refuses is what has failed")
    func refusingProxy() async throws {
      let (proxy, port) = try await Self.proxy(refusing: true)
      try await expectProxyFailed("127.0.0.1:\(port)")
      proxy.signal(SIGTERM)
      try await proxy.end()
    }

    @Test("check: a host of NO_PROXY is looked up by itself, though there is a proxy")
    func noProxy() async throws {
      let exempt = try await Result(Self.behind("127.0.0.1:1", domain: "tenant.does-not-exist.test"))
      #expect(exempt.names("failed") == ["dns"], "\(exempt.said)")
    }
  }
}
