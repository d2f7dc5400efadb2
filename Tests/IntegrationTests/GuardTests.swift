import Foundation
import TestSupport
import Testing

extension IntegrationTests {
  /// Requests that a browser, another server or a mistake has led here.
  @Suite struct GuardTests {
    /// Hosts that no name server can lead elsewhere.
    private static let ownHosts = [
      "localhost", "localhost:8080", "LOCALHOST", "broker.localhost:1", "localhost.", "127.0.0.1", "127.0.0.1:80",
      "10.1.2.3", "127.1", "[::1]", "[::1]:8080", "[fd00::5]",
    ]
    private static let otherHosts = [
      "evil.example", "evil.example:8080", "localhost.evil.example", "notlocalhost", "127.0.0.1.evil.example", "broker",
      "1.2.3.4x", "127-0-0-1.evil.example", "evil.example.",
    ]

    private func ask(_ url: String, host: String, _ more: String...) async throws -> Int {
      try await Answer.curl([url, "-H", "Host: \(host)"] + more).status
    }

    @Test("A loopback listener that serves anybody answers to names of this machine and addresses only")
    func rebinding() async throws {
      try await withBroker { _, broker in
        let grant = "grant_type=client_credentials&audience=https://api.example.com/"
        // An OAuth client is refused with 400 (RFC 6749 §5.2), and whoever is behind a proxy told nothing of it.
        for (hosts, status, grantStatus, proxyStatus) in [
          (Self.ownHosts, 200, 200, 200), (Self.otherHosts, 403, 400, 502),
        ] {
          for host in hosts {
            #expect(try await ask("\(broker.url)/token/\(API.path)", host: host) == status, "\(host)")
          }
          let host = hosts[0]
          #expect(try await ask("\(broker.url)/forward-auth/\(API.path)", host: host) == proxyStatus)
          #expect(try await ask("\(broker.url)/oauth/token", host: host, "-d", grant) == grantStatus)
          let http2 = "--http2-prior-knowledge"
          #expect(try await ask("\(broker.url)/token/\(API.path)", host: host, http2) == status)
          #expect(try await ask("\(broker.url)/healthz", host: host) == 200, "a probe is for everybody")
        }
        let nameless = try RawClient(port: broker.port)
        try nameless.send("GET /token/\(API.path) HTTP/1.0\r\n\r\n")
        #expect(try await nameless.readToEnd().hasPrefix("HTTP/1.1 200 "), "no browser leaves out the Host")
      }
    }

    @Test("A page cannot lead anybody to what asks who they are, is listed, or is no address: there any Host will do")
    func otherListeners() async throws {
      let callers = TestCallers()
      try await withTenant { tenant in
        let closed = try await tenant.broker(configuration: callers.text)
        let url = "\(closed.url)/token/\(API.path)"
        #expect(try await ask(url, host: "broker.internal", "-H", callers.billingProof) == 200)
        try await closed.end()

        let listed = try await tenant.broker(configuration: "allowedHosts: [broker.internal]\n")
        #expect(try await ask("\(listed.url)/token/\(API.path)", host: "broker.internal") == 200)
        #expect(try await ask("\(listed.url)/token/\(API.path)", host: "127.0.0.1") == 403)
        try await listed.end()

        let socket = try tenant.file("guard.sock", "")
        try FileManager.default.removeItem(atPath: socket)
        let local = try await tenant.broker(["BROKER_LISTEN": "127.0.0.1:0,unix:\(socket)"])
        #expect(try await ask("http://broker/token/\(API.path)", host: "broker", "--unix-socket", socket) == 200)
        try await local.end()
      }
    }

    @Test("Of an absolute-form target the authority counts, and the Host field means nothing")
    func absoluteForm() async throws {
      try await withBroker(configuration: "allowedHosts: [good.internal]\n") { _, broker in
        for (target, host, status) in [
          ("http://good.internal", "evil.example", "200"), ("http://evil.example", "good.internal", "403"),
          ("", "good.internal", "200"), ("", "evil.example", "403"),
        ] {
          let client = try RawClient(port: broker.port)
          try client.send("GET \(target)/token/\(API.path) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n")
          #expect(try await client.readToEnd().hasPrefix("HTTP/1.1 \(status) "), "\(target) \(host)")
        }
      }
    }

    @Test("With requireHeader a request with any field that says it was forwarded is refused")
    func forwarded() async throws {
      try await withBroker(configuration: "requireHeader: 'X-Token-Broker: true'\n") { _, broker in
        let good = ["\(broker.url)/token/\(API.path)", "-H", "X-Token-Broker: true"]
        for field in [
          "X-Forwarded-For: 10.0.0.1", "Forwarded: for=10.0.0.1", "Via: 1.1 proxy", "X-Forwarded-Host: a",
          "X-Forwarded-Proto: https", "X-Forwarded: a", "X-Real-IP: 10.0.0.1", "X-Original-Forwarded-For: 10.0.0.1",
          "True-Client-IP: 10.0.0.1", "CF-Connecting-IP: 10.0.0.1", "x-envoy-external-address: 10.0.0.1",
        ] {
          let refused = try await Answer.curl(good + ["-H", field])
          #expect(refused.status == 403, "\(field)")
        }
        let other = try await Answer.curl(good + ["-H", "X-Max-Forwards: 1"])
        #expect(other.status == 200)
      }
    }

    /// What a browser adds to a request of the status page's script, at `host`.
    private static func page(at host: String, _ more: [String] = []) -> [String] {
      ["Host: \(host)", "Origin: http://\(host)", "X-Token-Broker-Page: retry"] + more
    }

    @Test(
      "Of all pages only the broker's own may have a token tried again, by a host that no name server leads here",
      arguments: [
        (page(at: "127.0.0.1:8081"), 200), (page(at: "localhost:8081", ["Sec-Fetch-Site: same-origin"]), 200),
        (page(at: "[::1]:8081"), 200), (page(at: "127.0.0.1:8081", ["Sec-Fetch-Site: same-site"]), 403),
        (page(at: "127.0.0.1:8081", ["Sec-Fetch-Site: cross-site"]), 403),
        // A page elsewhere, one whose name was led here, one in a sandbox, and a form, which can add no field.
        (["Host: 127.0.0.1:8081", "Origin: https://evil.example", "X-Token-Broker-Page: retry"], 403),
        (page(at: "evil.example:8081"), 403), (["Origin: null", "X-Token-Broker-Page: retry"], 403),
        (["Host: 127.0.0.1:8081", "Origin: http://127.0.0.1:8081"], 403),
        (["Host: 127.0.0.1:8081", "Origin: http://127.0.0.1:8082", "X-Token-Broker-Page: retry"], 403),
        (["Sec-Fetch-Site: cross-site", "X-Token-Broker-Page: retry"], 403), ([], 200),
      ] as [([String], Int)])
    func retry(_ fields: [String], _ status: Int) async throws {
      try await withBroker { _, broker in
        let url = "\(broker.adminURL)/retry/\(API.path)"
        let answer = try await Answer.curl([url, "-X", "POST"] + fields.flatMap { ["-H", $0] })
        #expect(answer.status == status, "\(answer.body)")
        let purge = try await Answer.curl(
          ["\(broker.adminURL)/tokens/\(API.path)", "-X", "POST"] + fields.flatMap { ["-H", $0] })
        #expect(purge.status == (fields.isEmpty ? 200 : 403), "no page throws tokens away")
      }
    }

    @Test("On an address that others reach the page's host must be an address, or listed")
    func retryElsewhere() async throws {
      try await withTenant { tenant in
        let listed = try await tenant.broker(configuration: "allowedHosts: [broker.internal]\n")
        for (host, status) in [("broker.internal:8081", 200), ("127.0.0.1:8081", 200), ("other.internal", 403)] {
          let fields = Self.page(at: host).flatMap { ["-H", $0] }
          let answer = try await Answer.curl(["\(listed.adminURL)/retry/\(API.path)", "-X", "POST"] + fields)
          #expect(answer.status == status, "\(host)")
        }
        try await listed.end()
        let open = try await tenant.broker(["BROKER_ADMIN_LISTEN": "0.0.0.0:0"])
        for (host, status) in [("10.1.2.3:8081", 200), ("broker.internal", 403)] {
          let fields = Self.page(at: host).flatMap { ["-H", $0] }
          let answer = try await Answer.curl(["\(open.adminURL)/retry/\(API.path)", "-X", "POST"] + fields)
          #expect(answer.status == status, "\(host)")
        }
        try await open.end()
      }
    }

    @Test("The admin listener is as closed to web pages and rebound names, but not to links and monitors")
    func admin() async throws {
      try await withBroker { _, broker in
        for path in ["/metrics", "/status.json", "/status"] {
          let url = broker.adminURL + path
          for host in Self.ownHosts.prefix(2) { #expect(try await ask(url, host: host) == 200, "\(path) \(host)") }
          for host in Self.otherHosts.prefix(2) { #expect(try await ask(url, host: host) == 403, "\(path) \(host)") }
          for (fields, status) in [
            (["Origin: https://evil.example"], 403), (["Sec-Fetch-Site: cross-site"], 403),
            (["Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors"], 403), (["Sec-Fetch-Site: same-origin"], 200),
            (["Sec-Fetch-Site: none"], 200),
            (["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"], 200),
            (["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"], 403),
          ] {
            let answer = try await Answer.curl([url] + fields.flatMap { ["-H", $0] })
            #expect(answer.status == status, "\(path) \(fields)")
          }
        }
        #expect(try await ask(broker.adminURL + "/readyz", host: "evil.example") == 200)
      }
    }

    @Test("The admin listener answers to allowedHosts by any port, and to addresses")
    func adminHosts() async throws {
      try await withBroker(configuration: "allowedHosts: ['broker.internal:8080']\n") { _, broker in
        for (host, status) in [
          ("broker.internal:8081", 200), ("broker.internal", 200), ("127.0.0.1:8081", 200), ("evil.example", 403),
        ] {
          let answered = try await ask(broker.adminURL + "/metrics", host: host)
          #expect(answered == status, "\(host)")
        }
      }
    }

    @Test(
      "Where not all ids are mapped, no caller may be the one that stands for those that are not",
      .enabled(if: geteuid() == 0), arguments: ["unixUser", "unixGroup"])
    func unmappedIDs(_ key: String) async throws {
      try await withTenant { tenant in
        let file = try tenant.file(
          "unmapped.yaml", "callers: {agent: {\(key): ['65534'], audiences: ['*']}}\nlisten: 127.0.0.1:0\n")
        let result = try await ChildProcess.run(
          "unshare", ["--user", "--map-root-user", BrokerProcess.executable, "serve", "--config", file],
          environment: tenant.environment.merging(["BROKER_ADMIN_LISTEN": "off"]) { $1 })
        #expect(result.status == 78 && result.errors.contains("callers.agent.\(key)"), "\(result)")
      }
    }
  }
}
