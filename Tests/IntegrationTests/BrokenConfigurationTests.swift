import DevTenant
import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// Configurations that are broken as people break them, and what `check` answers: place, cause and remedy.
  @Suite struct BrokenConfigurationTests {
    /// A sound file, line by line; TENANT, DIR and the like stand for the test's own.
    private static let sound = [
      "auth0:", "  domain: TENANT", "  clientId: dev-client", "  clientSecretFile: DIR/secret", "  caFile: DIR/ca.pem",
      "audiences:", "  - https://api.example.com/",
    ]

    struct Broken: Sendable, CustomTestStringConvertible {
      let testDescription: String
      /// Lines of the sound file that are others here, by their numbers.
      var lines: [Int: String] = [:]
      /// What stands below it.
      var more = ""
      /// In place of all of it.
      var text: String?
      var environment: [String: String] = [:]
      /// Prepares the directory, in a shell.
      var script = ""
      /// In place of `c.yaml`.
      var file = "c.yaml"
      /// Whether a token has to be asked for to see it.
      var mints = false
      var status: Int32 = 78
      /// Where, without the file's path.
      let place: String
      let cause: String
      let remedy: String
    }

    private static func warned(
      _ what: String, lines: [Int: String] = [:], more: String = "", environment: [String: String] = [:],
      script: String = "", _ place: String, _ cause: String, _ remedy: String
    ) -> Broken {
      Broken(
        testDescription: what, lines: lines, more: more, environment: environment, script: script, status: 0,
        place: place, cause: cause, remedy: remedy)
    }

    private static let key = String(repeating: "1", count: 64)

    static let misspelt: [Broken] = [
      Broken(
        testDescription: "a capital too many", lines: [3: "  clientID: x"], place: "auth0.clientID (3:3)",
        cause: "no such key", remedy: "did you mean 'clientId'? Capitals count."),
      Broken(
        testDescription: "an underscore", lines: [3: "  client_id: x"], place: "auth0.client_id (3:3)",
        cause: "no such key", remedy: "did you mean 'clientId'?"),
      Broken(
        testDescription: "a section misspelt", lines: [6: "audience:"], place: "audience (6:1)", cause: "no such key",
        remedy: "did you mean 'audiences'?"),
      Broken(
        testDescription: "a key of an audience misspelt",
        lines: [7: "  - {audience: 'https://api.example.com/', prefech: true}"], place: "audiences[0].prefech (7:44)",
        cause: "no such key", remedy: "did you mean 'prefetch'?"),
      Broken(
        testDescription: "an unknown key", more: "x: 1", place: "configuration (8:1)", cause: "no such key",
        remedy: "known here: admin"),
      Broken(
        testDescription: "variables misspelt", text: "workers: 1",
        environment: ["AUTHO_DOMAIN": "a.test", "AUTH0_CLIENTID": "a"], place: "AUTHO_DOMAIN (environment)",
        cause: "no such variable", remedy: "did you mean 'AUTH0_DOMAIN'?"),
      warned(
        "a variable misspelt beside a sound file", environment: ["BROKER_LISTENN": "0.0.0.0:80"],
        "BROKER_LISTENN (environment)", "there is no such variable", "Did you mean BROKER_LISTEN?"),
      Broken(
        testDescription: "a provider that is none",
        text: "clients: {a: {provider: azure, clientId: x, clientSecret: y}}", place: "clients.a.provider (1:25)",
        cause: "found 'azure'", remedy: "expected one of auth0, oauth2"),
      Broken(
        testDescription: "a client of an audience that is none",
        lines: [7: "  - {audience: 'https://api.example.com/', client: other}"], place: "audiences[0].client (7:52)",
        cause: "found 'other'", remedy: "expected one of default"),
    ]

    static let notYAML: [Broken] = [
      Broken(
        testDescription: "a key with another indentation",
        more: "callers:\n  a:\n    unixUser: ['0']\n   audiences: ['*']",
        place: "configuration (11:4)", cause: "expected a key here", remedy: "indented as the one at 9:3"),
      Broken(
        testDescription: "a tab", lines: [2: "\tdomain: TENANT"], place: "configuration (2:1)", cause: "a tab",
        remedy: "expected spaces"),
      Broken(
        testDescription: "a quote that is not closed", lines: [2: "  domain: 'TENANT"], place: "configuration (2:11)",
        cause: "the quote that opens here", remedy: "is not closed"),
      Broken(
        testDescription: "no space behind a colon", lines: [3: "  clientId:x"], place: "configuration (3:3)",
        cause: "behind this key", remedy: "expected a colon and a space"),
      Broken(
        testDescription: "a template that was not filled in", lines: [3: "  clientId: {{ .Values.id }}"],
        place: "configuration (3:14)", cause: "a key must be a word", remedy: "a template was to fill in"),
      Broken(
        testDescription: "an anchor", lines: [3: "  clientId: &id x"], place: "configuration (3:13)",
        cause: "anchors (&name)", remedy: "are not supported"),
      Broken(
        testDescription: "an alias", lines: [3: "  clientId: *id"], place: "configuration (3:13)",
        cause: "aliases (*name) are not supported", remedy: "write the value itself"),
      Broken(
        testDescription: "two documents", more: "---\nworkers: 1", place: "configuration (8:1)",
        cause: "a second document begins here", remedy: "expected one"),
      Broken(
        testDescription: "a key twice", more: "workers: 1\nworkers: 2", place: "workers (9:1)",
        cause: "it stands there twice", remedy: "first at 8:1"),
      Broken(
        testDescription: "an empty file", text: "", place: "configuration", cause: "the file is empty",
        remedy: "expected at least a client"),
      Broken(
        testDescription: "no file", file: "none.yaml", place: "configuration", cause: "No such file or directory",
        remedy: "--config or BROKER_CONFIG"),
      Broken(
        testDescription: "a directory for a file", file: ".", place: "configuration", cause: "Is a directory",
        remedy: "--config or BROKER_CONFIG"),
    ]

    static let values: [Broken] = [
      Broken(
        testDescription: "yes for true", lines: [7: "  - {audience: 'https://api.example.com/', prefetch: yes}"],
        place: "audiences[0].prefetch (7:54)", cause: "found 'yes'", remedy: "expected true or false"),
      Broken(
        testDescription: "a word for a number", more: "workers: two", place: "workers (8:10)", cause: "found 'two'",
        remedy: "expected a number from 1 to 256"),
      Broken(
        testDescription: "a word for a number in a variable", environment: ["BROKER_WORKERS": "abc"],
        place: "BROKER_WORKERS (environment)", cause: "found 'abc'", remedy: "expected a number from 1 to 256"),
      Broken(
        testDescription: "a negative number", more: "cache: {maxEntries: -1}", place: "cache.maxEntries (8:21)",
        cause: "found '-1'", remedy: "expected a number from 1"),
      Broken(
        testDescription: "a duration without a unit", more: "upstream: {timeout: 10}", place: "upstream.timeout (8:21)",
        cause: "found '10'", remedy: "such as 30s"),
      Broken(
        testDescription: "a size with a unit that is none", more: "limits: {bodyBytes: 16KB}",
        place: "limits.bodyBytes (8:21)", cause: "found '16KB'", remedy: "such as 16KiB"),
      Broken(
        testDescription: "http:// for a tenant", lines: [2: "  domain: http://acme.eu.auth0.com"],
        place: "auth0.domain (2:11)", cause: "http:// is for 127.0.0.1", remedy: "expected a domain such as"),
      Broken(
        testDescription: "a tenant with a path", lines: [2: "  domain: https://acme.eu.auth0.com/oauth/token"],
        place: "auth0.domain (2:11)", cause: "https:// URL of only a host", remedy: "expected a domain such as"),
      Broken(
        testDescription: "a tenant with a blank", lines: [2: "  domain: acme .eu.auth0.com"],
        place: "auth0.domain (2:11)", cause: "there is a space in it", remedy: "expected a domain such as"),
      Broken(
        testDescription: "a placeholder for a tenant", lines: [2: "  domain: your-account.example"],
        place: "auth0.domain (2:11)", cause: "still the placeholder", remedy: "expected your own tenant's"),
      Broken(
        testDescription: "no client id", lines: [3: "  # nothing"], place: "auth0.clientId (2:3)", cause: "required",
        remedy: "the client id of a machine-to-machine application"),
      Broken(
        testDescription: "no tenant, in a file", text: "workers: 1", place: "auth0.domain", cause: "required",
        remedy: "your tenant's domain, such as acme.eu.auth0.com, or AUTH0_DOMAIN in the environment"),
      Broken(
        testDescription: "a client id of 100 kB", lines: [3: "  clientId: \(String(repeating: "x", count: 100_000))"],
        place: "auth0.clientId (3:13)", cause: "it has 100000 bytes", remedy: "expected a client id"),
      Broken(
        testDescription: "a store that is none", more: "store: {url: 'redis//host'}", place: "store.url (8:14)",
        cause: "expected", remedy: "memory:, file:/path, redis://"),
    ]

    static let listeners: [Broken] = [
      Broken(
        testDescription: "a port that is none", more: "listen: 127.0.0.1:99999", place: "listen (8:9)",
        cause: "'127.0.0.1:99999'", remedy: "expected a port from 0 to 65535"),
      Broken(
        testDescription: "no port", more: "listen: 127.0.0.1", place: "listen (8:9)", cause: "'127.0.0.1'",
        remedy: "expected host:port"),
      Broken(
        testDescription: "a host that is none", more: "listen: no-such-host.invalid:80", place: "listen (8:9)",
        cause: "'no-such-host.invalid:80'", remedy: "no address for the host"),
      Broken(
        testDescription: "listen twice", more: "listen: 127.0.0.1:1\nlisten: 127.0.0.1:2", place: "listen (9:1)",
        cause: "it stands there twice", remedy: "first at 8:1"),
      Broken(
        testDescription: "the same address twice", more: "listen: [127.0.0.1:18080, 127.0.0.1:18080]",
        place: "listen (8:9)", cause: "127.0.0.1:18080", remedy: "can be listened on only once"),
      Broken(
        testDescription: "one address for both listeners",
        more: "listen: 127.0.0.1:18080\nadmin: {listen: '127.0.0.1:18080'}", place: "admin.listen (9:17)",
        cause: "127.0.0.1:18080 of listen can be listened on only once", remedy: "expected another port, or off"),
      Broken(
        testDescription: "a mode that is none", more: "listen: unix:/run/x?mode=999", place: "listen (8:9)",
        cause: "mode=", remedy: "octal permissions of 3 or 4 digits"),
      Broken(
        testDescription: "a socket whose path is too long", more: "listen: unix:/\(String(repeating: "x", count: 120))",
        place: "listen (8:9)", cause: "the path is 121 bytes long", remedy: "at most 107"),
      Broken(
        testDescription: "https:// without a certificate", more: "listen: https://127.0.0.1:8443",
        place: "tls.certificateFile ()", cause: "required for listeners with https://", remedy: "a file in PEM"),
      Broken(
        testDescription: "https:// without a certificate, by a variable",
        environment: ["BROKER_LISTEN": "https://[::1]:1"],
        place: "tls.keyFile ()", cause: "required for listeners with https://", remedy: "a file in PEM"),
      Broken(
        testDescription: "a key of another certificate",
        more: "tls: {certificateFile: DIR/server.crt, keyFile: DIR/authority.key}",
        script: "authority authority; sign server authority", place: "tls.certificateFile (8:24)",
        cause: "using the private key", remedy: "does it belong to the certificate?"),
      Broken(
        testDescription: "a key for a certificate", more: "tls: {certificateFile: DIR/x.key, keyFile: DIR/x.key}",
        script: "authority x", place: "tls.certificateFile (8:24)", cause: "x.key",
        remedy: "it holds no PEM certificate"),
      Broken(
        testDescription: "a key that cannot be read", more: "tls: {certificateFile: DIR/x.crt, keyFile: DIR}",
        script: "authority x", place: "tls.keyFile (8:", cause: "DIR", remedy: "Is a directory"),
      warned(
        "a certificate that nobody serves", more: "tls: {certificateFile: DIR/x.crt, keyFile: DIR/x.key}",
        script: "authority x; chmod 600 x.key", "tls.certificateFile (8:24)", "nothing is served by TLS",
        "Write https:// before"),
    ]

    static let secrets: [Broken] = [
      Broken(
        testDescription: "no file of the secret", lines: [4: "  clientSecretFile: DIR/none"],
        place: "auth0.clientSecretFile (4:21)", cause: "DIR/none", remedy: "No such file or directory"),
      Broken(
        testDescription: "an empty secret", script: "printf '' > secret", place: "auth0.clientSecretFile (4:21)",
        cause: "it is empty", remedy: "expected the client secret in it"),
      Broken(
        testDescription: "three secrets", script: "printf 'a\\nb\\nc\\n' > secret",
        place: "auth0.clientSecretFile (4:21)",
        cause: "it has 3 lines", remedy: "expected one secret, or the new and the old one"),
      Broken(
        testDescription: "a secret with a line break", lines: [4: "  clientSecret: \"a\\nb\""],
        place: "auth0.clientSecret (4:17)", cause: "without control characters", remedy: "expected the client secret"),
      Broken(
        testDescription: "a secret and its file", lines: [4: "  clientSecret: a\n  clientSecretFile: DIR/secret"],
        place: "auth0.clientSecret (4:17)",
        cause: "set together with clientSecretFile", remedy: "expected one of them"),
      Broken(
        testDescription: "a variable that nobody expands", lines: [4: "  clientSecret: ${AUTH0_SECRET}"],
        place: "auth0.clientSecret (4:17)", cause: "it looks like a variable, and none is expanded here",
        remedy: "use the setting's own variable or file"),
      Broken(
        testDescription: "a variable that nobody expands, in a variable",
        lines: [4: "  # nothing"], environment: ["AUTH0_CLIENT_SECRET": "$(SECRET)"],
        place: "AUTH0_CLIENT_SECRET (environment)", cause: "it looks like a variable",
        remedy: "see what was to fill it in"),
      Broken(
        testDescription: "a variable that nobody expands, in a file", script: "echo '{{ secret }}' > secret",
        place: "auth0.clientSecretFile (4:21)",
        cause: "it looks like a variable", remedy: "see what was to fill it in"),
      warned(
        "a secret that everybody can read", script: "chmod 644 secret", "auth0.clientSecretFile (4:21)",
        "every user of this machine can read DIR/secret", "chmod 0400"),
      Broken(
        testDescription: "no secret", lines: [4: "  # nothing"], place: "auth0.clientSecret (2:3)", cause: "required",
        remedy: "the client secret itself here, or its file in clientSecretFile"),
    ]

    static let callers: [Broken] = [
      warned(
        "an audience that is not listed",
        more: "callers: {a: {bearerSHA256: KEY, audiences: ['https://api.example.com/', 'https://apis.example.com/']}}",
        "callers.a.audiences (8:", "'https://apis.example.com/' is never given to anybody",
        "which is spelt otherwise? Else list it in audiences"),
      warned(
        "an audience without its slash",
        more: "callers: {a: {bearerSHA256: KEY, audiences: 'https://api.example.com'}}",
        "callers.a.audiences (8:", "audiences does not list it",
        "Did you mean 'https://api.example.com/', which has a slash at its end?"),
      warned(
        "an audience that nobody may have",
        more: "callers: {a: {bearerSHA256: KEY, audiences: 'https://api.example.com'}}",
        "audiences[0] (7:5)", "no caller may have 'https://api.example.com/'", "Give it to a caller"),
      warned(
        "a certificate that nobody is asked for",
        more: """
          listen: https://127.0.0.1:8443
          tls: {certificateFile: DIR/x.crt, keyFile: DIR/x.key}
          callers: {a: {clientCertificate: 'dns:a', audiences: '*'}}
          """, script: "authority x; chmod 600 x.key", "callers.a.clientCertificate (10:34)",
        "tls.clientCAFile is not set; the caller has no other proof, so it is never served", "Set tls.clientCAFile"),
      warned(
        "a user without a Unix socket", more: "callers: {a: {unixUser: ['0'], audiences: '*'}}",
        "callers.a.unixUser (8:26)", "no user is known", "Listen on unix:/path"),
      warned(
        "everybody", more: "listen: 0.0.0.0:8080", "0.0.0.0:8080 (8:9)", "whoever can connect here is given tokens",
        "Name in callers who may have which audiences"),
      warned(
        "a client that nothing is asked from",
        more: "clients: {b: {clientId: b, domain: TENANT, clientSecretFile: DIR/secret, caFile: DIR/ca.pem}}",
        "clients.b (8:25)",
        "no audience is asked from this client", "Name it as the client of an audience"),
      Broken(
        testDescription: "a key for its SHA-256", more: "callers: {a: {bearerSHA256: tb_key, audiences: '*'}}",
        place: "callers.a.bearerSHA256 (8:29)", cause: "expected the SHA-256 of a key in 64 hexadecimal digits",
        remedy: "as token-broker key prints it"),
      Broken(
        testDescription: "the SHA-256 of an empty file",
        more: "callers: {a: {bearerSHA256: "
          + "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855, audiences: '*'}}",
        place: "callers.a.bearerSHA256 (8:29)", cause: "this is the SHA-256 of nothing",
        remedy: "a key file that was empty"),
      Broken(
        testDescription: "a caller that is called as strangers are in metrics",
        more: "callers: {(unknown): {bearerSHA256: KEY, audiences: '*'}}", place: "callers (8:10)",
        cause: "expected a name without a ( before it", remedy: "metrics call those so"),
      Broken(
        testDescription: "a name of a certificate without its scheme",
        more: "callers: {a: {clientCertificate: reports, audiences: '*'}}", place: "callers.a.clientCertificate (8:34)",
        cause: "found 'reports'", remedy: "expected a URI such as spiffe://example.com/a, dns:host.example.com"),
      Broken(
        testDescription: "a caller without a proof", more: "callers: {a: {audiences: '*'}}",
        place: "callers.a.bearerSHA256 (8:14)",
        cause: "required: a way to prove itself", remedy: "one of bearerSHA256"),
      Broken(
        testDescription: "a caller without audiences", more: "callers: {a: {bearerSHA256: KEY}}",
        place: "callers.a.audiences (8:14)", cause: "required: the audiences it may have", remedy: "'*' for any"),
      Broken(
        testDescription: "no caller", more: "callers: {}", place: "callers (8:10)",
        cause: "expected at least one caller",
        remedy: "without the key everybody is served"),
      Broken(
        testDescription: "callers without a value", more: "callers:", place: "callers (8:9)",
        cause: "expected at least one caller", remedy: "without the key everybody is served"),
      Broken(
        testDescription: "the same key twice",
        more: "callers:\n  a: {bearerSHA256: KEY, audiences: '*'}\n  b: {bearerSHA256: KEY, audiences: '*'}",
        place: "callers.b.bearerSHA256 (10:21)", cause: "the caller 'a'", remedy: "proves itself in the same way"),
    ]

    /// What is known only when the tenant, or the store, has been asked.
    static let asked: [Broken] = [
      Broken(
        testDescription: "a wrong secret", script: "echo wrong > secret", mints: true, status: 1,
        place: "https://api.example.com/", cause: "broker_misconfigured", remedy: "Compare the client id, the secret"),
      Broken(
        testDescription: "a wrong client id", lines: [3: "  clientId: nobody"], mints: true, status: 1,
        place: "https://api.example.com/", cause: "broker_misconfigured", remedy: "Compare the client id, the secret"),
      Broken(
        testDescription: "an audience that the tenant does not know", lines: [7: "  - https://nobody.example.com/"],
        mints: true, status: 1, place: "https://nobody.example.com/:", cause: "unknown_audience", remedy: "byte by byte"
      ),
      Broken(
        testDescription: "another authority", lines: [5: "  caFile: DIR/x.crt"], script: "authority x", status: 1,
        place: "failed  tls            127.0.0.1:", cause: "certificate", remedy: "caFile (AUTH0_CA_FILE)"),
      Broken(
        testDescription: "a file without authorities", lines: [5: "  caFile: DIR/secret"], place: "auth0.caFile (5:11)",
        cause: "DIR/secret", remedy: "it holds no PEM certificate"),
      Broken(
        testDescription: "nothing that listens", lines: [2: "  domain: 127.0.0.1:1"], status: 1,
        place: "failed  tcp            127.0.0.1:1", cause: "connect", remedy: "See whether the port is right"),
      Broken(
        testDescription: "no such host", lines: [2: "  domain: tenant.does-not-exist.test"], status: 1,
        place: "failed  dns            tenant.does-not-exist.test", cause: "skipped tcp", remedy: "letter by letter"),
      warned(
        "no directory for the store", more: "store: {url: 'file:DIR/none/tokens'}", "file:DIR/none/tokens",
        "No such file or directory", "Until it can be used each broker mints for itself"),
    ]

    /// What looks broken and is not: it is read as it was meant.
    static let accepted: [Broken] = [
      ("a slash behind the tenant", [2: "  domain: TENANT/"], ""),
      ("CRLF behind the secret", [:], "printf '\\r\\n' >> secret"),
      ("a blank behind the secret", [:], "printf ' ' >> secret"),
      ("a byte order mark", [:], "printf '\\357\\273\\277' | cat - c.yaml > d; mv d c.yaml"),
      ("CRLF in the file", [:], "sed -i 's/$/\\r/' c.yaml"),
      ("UTF-16", [:], "(printf '\\377\\376'; iconv -t UTF-16LE c.yaml) > d; mv d c.yaml"),
      (
        "a digest of digits only",
        [7: "  - https://api.example.com/\ncallers: {a: {bearerSHA256: \(key), audiences: '*'}}"], ""
      ),
      (
        "JSON with a comma too many",
        [
          1: "{auth0: {domain: 'TENANT', clientId: dev-client, clientSecretFile: DIR/secret,",
          2: "caFile: DIR/ca.pem,},", 3: "audiences: ['https://api.example.com/',],}", 4: "", 5: "", 6: "", 7: "",
        ], ""
      ),
    ].map {
      Broken(
        testDescription: $0, lines: $1, script: $2, mints: true, status: 0, place: "check: ok",
        cause: "ok      token", remedy: "a valid token")
    }

    @Test(
      "A broken configuration is answered with its place, the cause and the remedy",
      arguments: misspelt + notYAML + values + listeners + secrets + callers + asked + accepted)
    func broken(_ broken: Broken) async throws {
      try await withTenant { tenant in
        let directory = tenant.directory.path
        var lines = Self.sound
        for (number, line) in broken.lines { lines[number - 1] = line }
        let text = broken.text ?? (lines + (broken.more.isEmpty ? [] : [broken.more])).joined(separator: "\n")
        _ = try tenant.file(
          "c.yaml",
          (text.isEmpty ? "" : text + "\n").replacing("TENANT", with: tenant.tenant.baseURL)
            .replacing("DIR", with: directory).replacing("KEY", with: String(repeating: "a", count: 64)))
        _ = try tenant.file("secret", tenant.secret)
        try await OpenSSL.run("chmod 600 secret c.yaml\n\(broken.script)", in: directory)
        let file = tenant.directory.appendingPathComponent(broken.file).path
        let result = try await ChildProcess.run(
          BrokerProcess.executable, ["check", "--config", file] + (broken.mints ? [] : ["--no-mint"]),
          environment: broken.environment)
        #expect(result.status == broken.status, "\(result)")
        let said = (result.output + result.errors).replacing(file + ":", with: "").replacing(file, with: "")
          .replacing(directory, with: "DIR")
        for part in [broken.place, broken.cause, broken.remedy] { #expect(said.contains(part), "\(part): \(said)") }
        if broken.status == 78 { #expect(said.contains("token-broker: \(broken.place)"), "\(said)") }
      }
    }

    @Test("The table has 76 configurations and more")
    func count() {
      let all =
        Self.misspelt + Self.notYAML + Self.values + Self.listeners + Self.secrets + Self.callers + Self.asked
        + Self.accepted
      #expect(all.count >= 76 && Set(all.map(\.testDescription)).count == all.count)
    }
  }
}
