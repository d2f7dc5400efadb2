import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// The configuration file, as the real binary reads it.
  @Suite struct ConfigurationTests {
    private static let sound = "auth0: {domain: acme.eu.auth0.com, clientId: id, clientSecret: t0p-s3cr3t}"

    private func check(
      _ file: String, _ arguments: [String] = [], _ environment: [String: String] = [:]
    ) async throws -> (status: Int32, output: String, errors: String) {
      try await ChildProcess.run(
        BrokerProcess.executable, ["check", "--config", file] + arguments, environment: environment)
    }

    /// What stands behind a sound client, or alone, and all that is said of it; `t0p-s3cr3t` is never said.
    private static let broken: [(base: String?, text: String, errors: [String])] = [
      (
        sound, #"listne: 127.0.0.1:0"#,
        [#"listne (2:1): no such key; did you mean 'listen'?"#]
      ),
      (
        sound, #"workers: two"#,
        [#"workers (2:10): expected a number from 1 to 256; found 'two'"#]
      ),
      (
        sound, #"workers: "2""#,
        [#"workers (2:10): expected it without quotes"#]
      ),
      (
        sound, #"workers: 0"#,
        [#"workers (2:10): expected a number from 1 to 256; found '0'"#]
      ),
      (
        sound, #"workers: [1, 2]"#,
        [#"workers (2:10): expected a single value"#]
      ),
      (
        sound, #"listen: 8080"#,
        [#"listen (2:9): '8080': expected host:port, or [address]:port for IPv6"#]
      ),
      (
        sound, #"listen: []"#,
        [#"listen (2:9): the list is empty"#]
      ),
      (
        sound, #"listen: [127.0.0.1:99999, '[::1:80']"#,
        [
          #"listen (2:10): '127.0.0.1:99999': expected a port from 0 to 65535"#,
          #"listen (2:27): '[::1:80': expected [address]:port"#,
        ]
      ),
      (
        sound, #"listen: {host: a}"#,
        [#"listen (2:9): expected a list"#]
      ),
      (
        sound, #"listen:"#,
        [#"listen (2:8): expected a list"#]
      ),
      (
        sound, #"listen: https://127.0.0.1:8443"#,
        [
          #"tls.certificateFile (): required for listeners with https://: a file in PEM"#,
          #"tls.keyFile (): required for listeners with https://: a file in PEM"#,
        ]
      ),
      (
        sound, #"admin: {listen: nowhere}"#,
        [#"admin.listen (2:17): 'nowhere': expected host:port, or [address]:port for IPv6"#]
      ),
      (
        sound, #"admin: 127.0.0.1:8081"#,
        [#"admin (2:8): expected keys with values (key: value)"#]
      ),
      (
        sound, #"admin: {port: 8081}"#,
        [#"admin (2:9): no such key; known here: listen"#]
      ),
      (
        sound, #"log: {level: loud, format: xml, audit: yes}"#,
        [
          #"log.level (2:14): expected one of trace, debug, info, notice, warning, error, critical; found 'loud'"#,
          #"log.format (2:28): expected one of json, text; found 'xml'"#,
          #"log.audit (2:40): expected true or false; found 'yes'"#,
        ]
      ),
      (
        sound, #"cache: {minRemaining: 30}"#,
        [#"cache.minRemaining (2:23): expected a duration from 0s to 1h, such as 30s, 5m or 1h; found '30'"#]
      ),
      (
        sound, #"cache: {minRemaining: 30s, minRemaining: 40s}"#,
        [#"cache.minRemaining (2:28): it stands there twice; first at 2:9"#]
      ),
      (
        sound, #"cache: {refreshBefor: 5m}"#,
        [#"cache.refreshBefor (2:9): no such key; did you mean 'refreshBefore'?"#]
      ),
      (
        sound, #"cache: {maxEntries: -1}"#,
        [#"cache.maxEntries (2:21): expected a number from 1 to 10000000; found '-1'"#]
      ),
      (
        sound, #"cache: {refreshBefore: 2w}"#,
        [#"cache.refreshBefore (2:24): expected a duration from 1s to 1d, such as 30s, 5m or 1h; found '2w'"#]
      ),
      (
        sound, #"cache: {minRefreshInterval: 0s}"#,
        [#"cache.minRefreshInterval (2:29): expected a duration from 1s to 1h, such as 30s, 5m or 1h; found '0s'"#]
      ),
      (
        sound, #"limits: {headerBytes: 16kb}"#,
        [#"limits.headerBytes (2:23): expected a size from 1024 to 1048576 bytes, such as 16KiB; found '16kb'"#]
      ),
      (
        sound, #"limits: {bodyBytes: 1GiB}"#,
        [#"limits.bodyBytes (2:21): expected a size from 1024 to 1048576 bytes, such as 16KiB; found '1GiB'"#]
      ),
      (
        sound, #"limits: {conections: 5}"#,
        [#"limits.conections (2:10): no such key; did you mean 'connections'?"#]
      ),
      (
        sound, #"limits: {requestTimeout: forever}"#,
        [#"limits.requestTimeout (2:26): expected a duration from 1s to 1m, such as 30s, 5m or 1h; found 'forever'"#]
      ),
      (
        sound, #"upstream: {maxConcurrent: 0, proxy: 'user:t0p-s3cr3t@proxy'}"#,
        [
          #"upstream.maxConcurrent (2:27): expected a number from 1 to 1000; found '0'"#,
          #"upstream.proxy (2:37): expected the proxy's URL, with http://, https:// or socks5h://"#,
        ]
      ),
      (
        sound, #"budget: {reserve: 5}"#,
        [#"budget.reserve (2:19): without monthlyMints there is nothing to reserve"#]
      ),
      (
        sound, #"budget: {monthlyMints: 100, reserve: 101}"#,
        [#"budget.reserve (2:38): expected a number from 0 to 100; found '101'"#]
      ),
      (
        sound, #"shutdown: {delay: 1.5s}"#,
        [#"shutdown.delay (2:19): expected a duration from 0s to 1h, such as 30s, 5m or 1h; found '1.5s'"#]
      ),
      (
        sound, #"store: {url: 'postgres://x:t0p-s3cr3t@host'}"#,
        [
          #"""
          store.url (2:14): expected memory:, file:/path, redis://host:port/0, rediss://…, redis+unix:///path or \#
          redis+sentinel://host:port,host:port/name
          """#
        ]
      ),
      (
        sound, #"store: {url: 'file:tokens'}"#,
        [
          #"store.url (2:14): expected file: with the absolute path of a file"#
        ]
      ),
      (
        sound, #"store: {url: 'redis://:t0p-s3cr3t@host:99999'}"#,
        [
          #"store.url (2:14): expected a port from 1 to 65535"#
        ]
      ),
      (
        sound, #"store: {url: 'redis://reader@host'}"#,
        [
          #"store.url (2:14): it names a user without a password; expected one there, or in passwordFile"#
        ]
      ),
      (
        sound, #"store: {keyFile: /dev/null}"#,
        [
          #"""
          store.keyFile (2:18): /dev/null: expected a key of at least 32 random characters, and perhaps the one \#
          before it in a second line; openssl rand -base64 32 makes one
          """#,
          #"store.keyFile (2:18): the store memory: needs no key"#,
        ]
      ),
      (
        sound, #"store: {url: 'redis://host', caFile: /dev/null, prefix: ''}"#,
        [
          #"store.caFile (2:38): /dev/null: it holds no PEM certificate"#,
          #"store.caFile (2:38): only rediss: has TLS"#,
          #"store.prefix (2:57): expected what keys shall begin with; it is empty"#,
        ]
      ),
      (
        sound, #"store: {url: 'rediss://host', certificateKeyFile: /no/key.pem, timeout: 1ms}"#,
        [
          #"store.certificateFile (2:8): expected with certificateKeyFile: a certificate and its private key"#,
          #"store.certificateKeyFile (2:51): /no/key.pem: No such file or directory"#,
          #"store.timeout (2:73): expected a duration from 10ms to 5s, such as 30s, 5m or 1h; found '1ms'"#,
        ]
      ),
      (
        sound, #"store: {url: 'file:/tmp/tokens', timeout: 1ms}"#,
        [
          #"store.timeout (2:43): expected a duration from 10ms to 5s, such as 30s, 5m or 1h; found '1ms'"#
        ]
      ),
      (
        sound, #"store: {url: 'memory:', timeout: 1s}"#,
        [
          #"store.timeout (2:34): only a store in Redis or Valkey has it"#
        ]
      ),
      (
        sound, #"store: {url: 'file:/tmp/tokens', prefix: x}"#,
        [
          #"store.prefix (2:42): only a store in Redis or Valkey has it"#
        ]
      ),
      (
        sound, #"store: {url: 'redis://host/0', sentinelPasswordFile: /dev/null}"#,
        [
          #"store.sentinelPasswordFile (2:54): only redis+sentinel: and rediss+sentinel: have Sentinels"#
        ]
      ),
      (
        sound, #"store: {url: 'redis+sentinel://:t0p-s3cr3t@one,two'}"#,
        [
          #"store.url (2:14): expected /name behind the Sentinels: the primary's, of letters, digits, '.', '-' and '_'"#
        ]
      ),
      (
        sound, #"store: {url: 'redis://host/0', passwordFile: /nonexistent}"#,
        [
          #"store.passwordFile (2:46): /nonexistent: No such file or directory"#
        ]
      ),
      (
        """
        clients: {a: {issuer: 'https://example.com', provider: oauth2, clientId: x, certificateFile: PEM, \
        certificateKeyFile: PEM}}
        """,
        #"store: {url: 'file:/tmp/tokens'}"#,
        [
          #"store.keyFile (2:8): required: the client 'a' has no secret that tokens could be encrypted with"#
        ]
      ),
      (
        sound, #"tls: {certificateFile: /x}"#,
        [
          #"tls.keyFile (2:6): required for listeners with https://: a file in PEM"#,
          #"tls.certificateFile (2:24): /x: No such file or directory"#,
        ]
      ),
      (
        sound, #"audiences: []"#,
        [#"audiences (2:12): the list is empty"#]
      ),
      (
        sound, #"audiences: ['https://a/', 'https://a/']"#,
        [#"audiences (2:12): 'https://a/' stands there twice"#]
      ),
      (
        sound, #"audiences: [{client: default}]"#,
        [#"audiences[0].audience (2:13): required: the API's identifier"#]
      ),
      (
        sound, #"audiences: [{audience: 'https://a/', client: defualt}]"#,
        [#"audiences[0].client (2:46): expected one of default; found 'defualt'"#]
      ),
      (
        sound, #"audiences: [{audience: 'https://a/', verify: none}]"#,
        [#"audiences[0].verify (2:46): expected jwt or opaque; found 'none'"#]
      ),
      (
        sound, #"audiences: [{audience: 'https://a/', prefetch: 1}]"#,
        [#"audiences[0].prefetch (2:48): expected true or false; found '1'"#]
      ),
      (
        sound, #"audiences: [{audience: 'https://a/', scope: "a\tb"}]"#,
        [#"audiences[0].scope (2:45): expected scopes separated by spaces; found 'a?b'"#]
      ),
      (
        sound, #"audiences: [['https://a/']]"#,
        [#"audiences[0] (2:13): expected a single value"#]
      ),
      (
        sound, #"callers: {}"#,
        [#"callers (2:10): expected at least one caller; without the key everybody is served"#]
      ),
      (
        sound, #"callers: {a: {}}"#,
        [
          #"callers.a.audiences (2:14): required: the audiences it may have, or '*' for any"#,
          #"""
          callers.a.bearerSHA256 (2:14): required: a way to prove itself, one of bearerSHA256, clientCertificate, \#
          serviceAccount, unixUser, unixGroup
          """#,
        ]
      ),
      (
        sound, #"callers: {a: {bearerSHA256: t0p-s3cr3t, audiences: '*'}}"#,
        [
          #"""
          callers.a.bearerSHA256 (2:29): expected the SHA-256 of a key in 64 hexadecimal digits, as token-broker key \#
          prints it
          """#
        ]
      ),
      (
        sound, #"callers:\#n  a: {bearerSHA256: DIGEST, audiences: '*'}\#n  b: {bearerSHA256: DIGEST, audiences: '*'}"#,
        [#"callers.b.bearerSHA256 (4:21): the caller 'a' proves itself in the same way"#]
      ),
      (
        sound, #"callers: {a: {bearerSHA256: DIGEST, audiences: ['https://*.example.com/', 'https://a*', '**']}}"#,
        [
          #"""
          callers.a.audiences (2:106): 'https://*.example.com/': a star is for everything ('*') or stands behind a \#
          slash at the end
          """#,
          #"""
          callers.a.audiences (2:106): 'https://a*': a star is for everything ('*') or stands behind a slash at the \#
          end
          """#,
          #"callers.a.audiences (2:106): '**': a star is for everything ('*') or stands behind a slash at the end"#,
        ]
      ),
      (
        sound, #"callers: {'a b': {bearerSHA256: DIGEST, audiences: '*'}}"#,
        [#"callers (2:11): expected names of at most 64 visible ASCII characters"#]
      ),
      (
        sound, #"callers: {"a\nb": {bearerSHA256: x, audiences: '*'}}"#,
        [
          #"callers (2:11): expected names of at most 64 visible ASCII characters"#,
          #"""
          callers.a?b.bearerSHA256 (2:34): expected the SHA-256 of a key in 64 hexadecimal digits, as token-broker \#
          key prints it
          """#,
        ]
      ),
      (
        sound, #"callers: {a: {serviceAccount: jobs, audiences: '*'}}"#,
        [#"callers.a.serviceAccount (2:31): expected namespace/name; found 'jobs'"#]
      ),
      (
        sound, #"callers: {a: {unixUser: root, audiences: '*'}}"#,
        [#"callers.a.unixUser (2:25): expected a numeric id; found 'root'"#]
      ),
      (
        sound, #"callers: {a: {clientCertificate: reports, audiences: '*'}}"#,
        [
          #"""
          callers.a.clientCertificate (2:34): expected a URI such as spiffe://example.com/a, dns:host.example.com, or \#
          subject:CN=a,O=b; found 'reports'
          """#
        ]
      ),
      (
        sound, #"allowedHosts: ['http://a/']"#,
        [#"allowedHosts (2:16): expected a host, or host:port; found 'http://a/'"#]
      ),
      (
        sound, #"requireHeader: X-Token-Broker"#,
        [#"requireHeader (2:16): expected a header field, such as 'X-Token-Broker: true'"#]
      ),
      (
        nil, #"auth0: {domain: acme.eu.auth0.com, clientId: id}"#,
        [
          #"""
          auth0.clientSecret (1:8): required: the client secret itself here, or its file in clientSecretFile; or \#
          privateKeyFile, clientAssertionFile or certificateFile
          """#
        ]
      ),
      (
        nil, #"auth0: {domain: YOUR-TENANT.example, clientId: id, clientSecret: t0p-s3cr3t}"#,
        [
          #"""
          auth0.domain (1:17): still the placeholder of an example; expected your own tenant's or server's name in \#
          its place
          """#
        ]
      ),
      (
        nil,
        #"clients: {a: {provider: oauth2, issuer: "https://sso.INVALID/x", clientId: x, clientSecret: t0p-s3cr3t}}"#,
        [
          #"""
          clients.a.issuer (1:41): still the placeholder of an example; expected your own tenant's or server's name \#
          in its place
          """#
        ]
      ),
      (
        nil,
        #"auth0: {domain: 'https://user:t0p-s3cr3t@acme.eu.auth0.com', clientId: '', clientSecret: "t0p-s3cr3t\n"}"#,
        [
          #"""
          auth0.domain (1:17): expected a domain such as acme.eu.auth0.com, or an https:// URL of only a host and \#
          perhaps a port; http:// is for 127.0.0.1, [::1] and localhost
          """#,
          #"auth0.clientId (1:72): expected a client id; it is empty"#,
          #"auth0.clientSecret (1:90): expected the client secret, without control characters"#,
        ]
      ),
      (
        nil, #"auth0: {domain: acme.eu.auth0.com, clientId: id, clientSecret: t0p-s3cr3t, clientSecretFile: /x}"#,
        [#"auth0.clientSecret (1:64): set together with clientSecretFile; expected one of them"#]
      ),
      (
        nil, #"auth0: {domain: acme.eu.auth0.com, clientId: id, clientSecret: t0p-s3cr3t, basicEncoding: raw}"#,
        [#"auth0.basicEncoding (1:91): only client_secret_basic has it"#]
      ),
      (
        nil,
        #"auth0: {domain: a.b, clientId: 'a:b', clientSecret: s, authMethod: client_secret_basic, basicEncoding: raw}"#,
        [#"auth0.basicEncoding (1:104): raw does not go with a colon in clientId: the server would cut it there"#]
      ),
      (
        nil,
        #"auth0: {domain: a.b, clientId: id, clientAssertionFile: /x, authMethod: client_secret_post}"#,
        [#"auth0.authMethod (1:73): client_secret_post does not go with clientAssertionFile"#]
      ),
      (
        nil, #"auth0: {domain: acme.eu.auth0.com, clientId: id, clientSecretFile: /no/such/file}"#,
        [#"auth0.clientSecretFile (1:68): /no/such/file: No such file or directory"#]
      ),
      (
        nil, #"auth0: {domain: acme.eu.auth0.com, clientId: id, clientSecret: t0p-s3cr3t, caFile: /dev/null}"#,
        [#"auth0.caFile (1:84): /dev/null: it holds no PEM certificate"#]
      ),
      (
        nil, #"auth0: [t0p-s3cr3t]"#,
        [
          #"auth0 (1:8): expected keys with values (key: value)"#,
          #"auth0.domain (1:8): required: your tenant's domain, such as acme.eu.auth0.com"#,
          #"auth0.clientId (1:8): required: the client id of a machine-to-machine application"#,
          #"""
          auth0.clientSecret (1:8): required: the client secret itself here, or its file in clientSecretFile; or \#
          privateKeyFile, clientAssertionFile or certificateFile
          """#,
        ]
      ),
      (
        nil, #"- t0p-s3cr3t"#,
        [
          #"""
          auth0.domain (): required: your tenant's domain, such as acme.eu.auth0.com, or AUTH0_DOMAIN in the \#
          environment
          """#,
          #"""
          auth0.clientId (): required: the client id of a machine-to-machine application, or AUTH0_CLIENT_ID in the \#
          environment
          """#,
          #"""
          auth0.clientSecret (): required: the client secret itself here, or its file in clientSecretFile; or \#
          privateKeyFile, clientAssertionFile or certificateFile, or AUTH0_CLIENT_SECRET in the environment
          """#,
          #"configuration (1:1): expected keys with values (key: value)"#,
        ]
      ),
      (
        nil, #"auth0: {domain: t0p-s3cr3t"#,
        [#"configuration (2:1): this is no YAML: did not find expected ',' or '}', to go on with what opens at 1:8"#]
      ),
      (
        nil, #"auth0:\#n\#tdomain: t0p-s3cr3t"#,
        [#"configuration (2:1): this is no YAML: a tab; expected spaces, which alone indent YAML"#]
      ),
      (
        nil, #"auth0: &a {domain: t0p-s3cr3t}\#nclients: {b: *a}"#,
        [#"configuration (1:8): anchors (&name) are not supported"#]
      ),
      (
        nil, #"auth0: !secret t0p-s3cr3t"#,
        [#"configuration (1:8): tags (!name) are not supported"#]
      ),
      (
        nil, #"workers: 2\#n---\#nworkers: 3"#,
        [#"configuration (2:1): a second document begins here; expected one"#]
      ),
      (
        nil,
        #"""
        clients: {a: {domain: a.auth0.com, clientId: x, clientSecret: t0p-s3cr3t}, b: {domain: b.auth0.com, clientId: \#
        y, clientSecret: t0p-s3cr3t}}
        """#,
        [#"audiences (1:1): required with several clients and none called default: a list that gives each its client"#]
      ),
      (
        sound, #"listen: https://127.0.0.1:8443\#ntls: {certificateFile: /dev/null, keyFile: /no/such/file}"#,
        [
          #"tls.certificateFile (3:24): /dev/null: it holds no PEM certificate"#,
          #"tls.keyFile (3:44): /no/such/file: No such file or directory"#,
        ]
      ),
      (
        sound, #"tls: {requireClientCertificate: true}"#,
        [
          #"tls.certificateFile (2:6): required for listeners with https://: a file in PEM"#,
          #"tls.keyFile (2:6): required for listeners with https://: a file in PEM"#,
          #"tls.requireClientCertificate (2:33): without clientCAFile no certificate can be checked"#,
        ]
      ),
      (
        nil, #"auth0: {domain: acme.eu.auth0.com, clientId: id, clientSecret:t0p-s3cr3t}"#,
        [
          #"""
          auth0.clientSecret (1:8): required: the client secret itself here, or its file in clientSecretFile; or \#
          privateKeyFile, clientAssertionFile or certificateFile
          """#,
          #"auth0.clientSecret (1:50): no such key; expected a space behind its colon"#,
        ]
      ),
      (
        nil, #"? t0p-s3cr3t"#,
        [
          #"""
          auth0.domain (): required: your tenant's domain, such as acme.eu.auth0.com, or AUTH0_DOMAIN in the \#
          environment
          """#,
          #"""
          auth0.clientId (): required: the client id of a machine-to-machine application, or AUTH0_CLIENT_ID in the \#
          environment
          """#,
          #"""
          auth0.clientSecret (): required: the client secret itself here, or its file in clientSecretFile; or \#
          privateKeyFile, clientAssertionFile or certificateFile, or AUTH0_CLIENT_SECRET in the environment
          """#,
          #"""
          configuration (1:3): no such key; known here: admin, allowedHosts, audiences, auth0, budget, cache, \#
          callers, clients, kubernetes, limits, listen, log, proxyFrom, publicURL, readiness, requireHeader, \#
          shutdown, store, tls, upstream, workers
          """#,
        ]
      ),
      (
        nil, #"# nothing but this"#,
        [#"configuration (): the file is empty; expected at least a client, under auth0 or clients"#]
      ),
      (
        nil, #"auth0: {domain: acme.eu.auth0.com, clientId: id, clientSecretFile: t0p-s3cr3t}"#,
        [#"auth0.clientSecretFile (1:68): the file: No such file or directory"#]
      ),
      (
        nil,
        #"auth0: {domain: acme.eu.auth0.com, clientId: id, privateKeyFile: "-----BEGIN PRIVATE KEY-----\nt0p-s3cr3t"}"#,
        [#"auth0.privateKeyFile (1:66): the file: No such file or directory"#]
      ),
      (
        sound, #"callers: {a: {bearerSHA256: DIGEST, audiences: 'https:/*'}}"#,
        [
          #"""
          callers.a.audiences (2:106): 'https:/*': a star is for everything ('*') or stands behind a slash at the end
          """#
        ]
      ),
      (
        nil, #"clients: {a: {provider: oauth2, clientId: x, clientSecret: t0p-s3cr3t}}"#,
        [#"clients.a.issuer (1:14): required: the server's issuer URL, or its tokenURL"#]
      ),
      (
        nil,
        #"""
        clients: {a: {provider: oauth2, tokenURL: 'http://example.com/token', clientId: x, clientSecret: t0p-s3cr3t}}
        """#,
        [
          #"""
          clients.a.tokenURL (1:43): expected an https:// URL without user, query or fragment; http:// is for \#
          127.0.0.1, [::1] and localhost
          """#
        ]
      ),
      (
        nil,
        #"""
        clients: {a: {provider: oauth2, tokenURL: 'https://example.com/token', jwksURL: 'https://example.com/jwks', \#
        clientId: x, clientSecret: t0p-s3cr3t}}
        """#,
        [#"clients.a.jwksURL (1:81): tokens are checked with jwksURL and issuer together; expected both or neither"#]
      ),
      (
        nil,
        #"clients: {a: {provider: oauth2, tokenURL: 'https://example.com/t', clientId: x, clientSecret: t0p-s3cr3t}}"#,
        [
          #"""
          audiences (1:1): required: a list of audiences with verify: opaque, because the client 'a' has no \#
          keys to check tokens with: its issuer alone, or jwksURL and issuer beside its tokenURL, tell where they are
          """#
        ]
      ),
      (
        #"clients: {a: {provider: oauth2, tokenURL: 'https://example.com/t', clientId: x, clientSecret: t0p-s3cr3t}}"#,
        #"audiences: ['https://a/', {audience: 'https://b/'}, {audience: 'https://c/', verify: opaque}]"#,
        [
          #"""
          audiences (2:12): 'https://a/': expected verify: opaque, because the client 'a' has no keys to check tokens \#
          with: its issuer alone, or jwksURL and issuer beside its tokenURL, tell where they are
          """#,
          #"""
          audiences[1].verify (2:27): expected opaque, because the client 'a' has no keys to check tokens with: its \#
          issuer alone, or jwksURL and issuer beside its tokenURL, tell where they are
          """#,
        ]
      ),
      (
        sound, #"readiness: {waitForPrefetch: 1, startupTimeout: 2h}"#,
        [
          #"readiness.waitForPrefetch (2:30): expected true or false; found '1'"#,
          #"readiness.startupTimeout (2:49): expected a duration from 0s to 1h, such as 30s, 5m or 1h; found '2h'"#,
        ]
      ),
      (
        nil, #"clients: {a: {provider: okta, domain: x.test, clientId: x, clientSecret: t0p-s3cr3t}}"#,
        [#"clients.a.provider (1:25): expected one of auth0, oauth2; found 'okta'"#]
      ),
      (
        nil,
        #"""
        clients: {a: {provider: oauth2, issuer: 'https://example.com', clientId: x, clientSecret: t0p-s3cr3t, \#
        authMethod: private_key_jwt}}
        """#,
        [#"clients.a.authMethod (1:115): private_key_jwt does not go with clientSecret"#]
      ),
      (
        nil,
        #"""
        clients: {a: {provider: oauth2, issuer: 'https://example.com', clientId: x, clientSecret: t0p-s3cr3t, \#
        extraParameters: {client_secret: t0p-s3cr3t}}}
        """#,
        [#"clients.a.extraParameters (1:120): 'client_secret' is set by the broker itself, and cannot be set here"#]
      ),
      (
        nil,
        #"clients: {a: {provider: oauth2, issuer: 'https://example.com', clientId: x, certificateFile: /dev/null}}"#,
        [
          #"clients.a.certificateKeyFile (1:14): required: the file of the certificate's private key"#,
          #"clients.a.certificateFile (1:94): /dev/null: it holds no PEM certificate"#,
        ]
      ),
      (
        nil, #"auth0: {domain: acme.eu.auth0.com, clientId: id, privateKeyFile: /dev/null}"#,
        [#"auth0.privateKeyFile (1:66): expected a private key in PEM"#]
      ),
    ]

    @Test("A broken file is told every error at once, with its place and what was expected, and no secret")
    func brokenFiles() async throws {
      try await withTenant { tenant in
        for (base, text, expected) in Self.broken {
          let digest = String(repeating: "a", count: 64)
          let pem = try #require(tenant.environment["AUTH0_CA_FILE"])
          let contents = ((base.map { $0 + "\n" } ?? "") + text + "\n").replacing("DIGEST", with: digest).replacing(
            "PEM", with: pem)
          let path = try tenant.file("broken.yaml", contents)
          let result = try await check(path)
          #expect(result.status == 78, "\(text)")
          let lines = result.errors.replacing(path + ":", with: "").replacing(path, with: "").split(separator: "\n").map
          {
            String($0.dropFirst("token-broker: ".count))
          }
          #expect(lines == expected, "\(text)")
          #expect(!(result.output + result.errors).contains("t0p-s3cr3t"))
        }
      }
    }
  }
}
